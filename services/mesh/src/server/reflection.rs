//! Server reflection, so that `grpcurl` and its like need no files.
//!
//! Promises: both versions of the protocol, with comments; v1alpha, because older clients speak only that. What is not there
//! is answered *in* the stream, as the protocol wants it, and the stream goes on: the reflection of `tonic` ends it. Leaves the
//! descriptors to `lepton-proto` and finding things in them to [`index`].
//!
//! The protocol: <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>.

use std::sync::Arc;

use axum::Router;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use lepton_proto::descriptors::FILE_DESCRIPTOR_SET;
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server as newer;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};
use tonic_reflection::pb::v1alpha::server_reflection_server as older;
use tonic_reflection::pb::{v1, v1alpha};

use self::index::{Index, Missing};
use super::stack::mount_protocol;

mod index;
#[cfg(test)]
mod tests;

/// The services that every server has besides its own: their errors are those of their protocols, and they are never traced.
pub const PROTOCOLS: [&str; 3] = [
    tonic_health::pb::health_server::SERVICE_NAME,
    newer::SERVICE_NAME,
    older::SERVICE_NAME,
];

/// Adds reflection, which lists and describes the gRPC services named, health and itself.
pub fn mount_on(router: Router, services: &[&str]) -> Router {
    let sets = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        // So that clients can show the details of errors.
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        v1::FILE_DESCRIPTOR_SET,
        v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let index = Index::new(&sets).expect("the sets are those that the builds encoded");
    let reflection = Reflection {
        services: services.iter().chain(&PROTOCOLS).map(|&name| name.to_owned()).collect(),
        index: Arc::new(index),
    };
    let router = mount_protocol(router, newer::ServerReflectionServer::new(reflection.clone()));
    mount_protocol(router, older::ServerReflectionServer::new(reflection))
}

/// The service of both versions, whose messages are the same.
#[derive(Debug, Clone)]
struct Reflection {
    services: Arc<[String]>,
    index: Arc<Index>,
}

impl Reflection {
    fn respond(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let found = match &request.message_request {
            Some(wanted) => self.find(wanted),
            None => Err(error(Status::invalid_argument("the request names nothing"))),
        };
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            message_response: Some(found.unwrap_or_else(MessageResponse::ErrorResponse)),
            original_request: Some(request),
        }
    }

    fn find(&self, wanted: &MessageRequest) -> Result<MessageResponse, ErrorResponse> {
        let file = match wanted {
            MessageRequest::ListServices(_) => {
                let service = self.services.iter();
                let service = service.map(|name| ServiceResponse { name: name.clone() }).collect();
                return Ok(MessageResponse::ListServicesResponse(ListServiceResponse { service }));
            }
            MessageRequest::AllExtensionNumbersOfType(name) => {
                let numbers = ExtensionNumberResponse {
                    extension_number: self.index.extension_numbers(name).map_err(missing)?,
                    base_type_name: name.clone(),
                };
                return Ok(MessageResponse::AllExtensionNumbersResponse(numbers));
            }
            MessageRequest::FileByFilename(name) => self.index.file(name),
            MessageRequest::FileContainingSymbol(name) => self.index.file_of_symbol(name),
            MessageRequest::FileContainingExtension(wanted) => self
                .index
                .file_of_extension(&wanted.containing_type, wanted.extension_number),
        };
        let file_descriptor_proto = vec![file.map_err(missing)?.to_vec()];
        let response = FileDescriptorResponse { file_descriptor_proto };
        Ok(MessageResponse::FileDescriptorResponse(response))
    }
}

fn missing(missing: Missing) -> ErrorResponse {
    error(Status::not_found(missing.to_string()))
}

fn error(status: Status) -> ErrorResponse {
    ErrorResponse {
        error_code: status.code().into(),
        error_message: status.message().to_owned(),
    }
}

#[tonic::async_trait]
impl newer::ServerReflection for Reflection {
    type ServerReflectionInfoStream = BoxStream<'static, Result<ServerReflectionResponse, Status>>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let (reflection, requests) = (self.clone(), request.into_inner());
        let responses = requests.map(move |request| Ok(reflection.respond(request?)));
        Ok(Response::new(until_the_first_error(responses.boxed())))
    }
}

#[tonic::async_trait]
impl older::ServerReflection for Reflection {
    type ServerReflectionInfoStream = BoxStream<'static, Result<v1alpha::ServerReflectionResponse, Status>>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let (reflection, requests) = (self.clone(), request.into_inner());
        let responses = requests.map(move |request| {
            let response = reflection.respond(converted(&request?)?);
            converted(&response)
        });
        Ok(Response::new(until_the_first_error(responses.boxed())))
    }
}

/// A message of one version as that of the other: on the wire they are the same.
fn converted<M: prost::Message, N: prost::Message + Default>(message: &M) -> Result<N, Status> {
    let converted = N::decode(message.encode_to_vec().as_slice());
    converted.map_err(|error| Status::internal(format!("the versions of reflection differ: {error}")))
}

/// A stream of requests that broke is over: it would give the same error for ever.
fn until_the_first_error<T: Send + 'static>(
    responses: BoxStream<'static, Result<T, Status>>,
) -> BoxStream<'static, Result<T, Status>> {
    let responses = stream::unfold(Some(responses), |responses| async {
        let mut responses = responses?;
        let response = responses.next().await?;
        let goes_on = response.is_ok();
        Some((response, goes_on.then_some(responses)))
    });
    responses.boxed()
}
