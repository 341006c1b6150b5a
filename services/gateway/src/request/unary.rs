//! Unary calls as the gRPC library hands them over.
//!
//! Promises: a service gets the caller of a call with its message. Leaves who may call to [`crate::edge`], which has checked the
//! caller's role before.

use lepton_core::error::status;
use lepton_domain::reason::ApiError;
use tonic::{Request, Response, Status};

use super::Caller;

/// Answer of a handler.
pub type Answer<T> = Result<Response<T>, Status>;

/// Answers a call by a function of its caller and its message.
pub async fn answer<T, A>(request: Request<T>, call: impl AsyncFnOnce(Caller, T) -> Result<A, ApiError>) -> Answer<A> {
    let answered = async {
        let caller = Caller::of(request.extensions())?;
        call(caller, request.into_inner()).await
    };
    answered.await.map(Response::new).map_err(|error| status(&error))
}
