//! The REST surface as data: one binding for each `google.api.http` rule of the contract.
//!
//! Promises: a rule that names a field that does not exist ends the start, not a request. Leaves carrying a request
//! over to `request` and `call`.

use std::sync::Arc;

use http::Method;
use lepton_domain::reason::{ApiError, Reason};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor};

use super::path::{BadTemplate, Fields, Template};

#[cfg(test)]
mod tests;

/// Every binding of the contract.
#[derive(Debug)]
pub struct Table {
    bindings: Vec<Arc<Binding>>,
}

/// One way to call an RPC over REST.
#[derive(Debug)]
pub struct Binding {
    /// The RPC.
    pub rpc: MethodDescriptor,
    /// The HTTP method.
    pub verb: Method,
    /// The path.
    pub template: Template,
    /// Fields that the body fills.
    pub body: Body,
    /// The field of the answer that becomes the body; the whole answer where absent.
    pub answer: Option<FieldDescriptor>,
}

/// Fields that a request's body fills.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// Every field that the path does not bind.
    Whole,
    /// This field.
    Field(FieldDescriptor),
}

/// A rule that cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum BadRule {
    /// Its path.
    #[error("{rpc}: {source}")]
    Path {
        /// The RPC that carries the rule.
        rpc: String,
        /// The error of the template.
        source: BadTemplate,
    },
    /// A field that its message does not have, or that cannot stand there.
    #[error("{rpc}: no fitting field {field:?}")]
    Field {
        /// The RPC that carries the rule.
        rpc: String,
        /// The missing field.
        field: String,
    },
}

impl Table {
    /// Reads the rules of every RPC in the pool.
    pub fn of(pool: &DescriptorPool) -> Result<Self, BadRule> {
        let mut bindings = Vec::new();
        let Some(extension) = pool.get_extension_by_name("google.api.http") else {
            return Ok(Self { bindings });
        };
        for rpc in pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            let options = rpc.options();
            if !options.has_extension(&extension) {
                continue;
            }
            if let Some(rule) = options.get_extension(&extension).as_message() {
                bindings.push(Arc::new(Binding::of(&rpc, rule)?));
                let more = rule.get_field_by_name("additional_bindings");
                for rule in more
                    .iter()
                    .filter_map(|list| list.as_list())
                    .flatten()
                    .filter_map(|rule| rule.as_message())
                {
                    bindings.push(Arc::new(Binding::of(&rpc, rule)?));
                }
            }
        }
        Ok(Self { bindings })
    }

    /// The binding of a request and the fields in its path.
    pub fn find(&self, verb: &Method, path: &str) -> Result<(Arc<Binding>, Fields<'_>), Miss> {
        let mut allowed = Vec::new();
        for binding in &self.bindings {
            if let Some(fields) = binding.template.matches(path) {
                if binding.verb == *verb {
                    return Ok((Arc::clone(binding), fields));
                }
                allowed.push(binding.verb.clone());
            }
        }
        Err(if allowed.is_empty() {
            Miss::Path
        } else {
            Miss::Verb(allowed)
        })
    }

    /// Every binding.
    pub fn bindings(&self) -> &[Arc<Binding>] {
        &self.bindings
    }
}

/// Reason why no binding fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No rule has this path.
    Path,
    /// The path exists, with these methods.
    Verb(Vec<Method>),
}

impl Miss {
    /// The error for the caller.
    pub fn refusal(&self, verb: &Method, path: &str) -> ApiError {
        let path = path.to_owned();
        let error = match self {
            Self::Path => RouteError::NotFound(path),
            Self::Verb(allowed) => RouteError::Verb {
                path,
                verb: verb.clone(),
                allowed: allow(allowed),
            },
        };
        error.into()
    }
}

/// A request that no binding takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// There is no such path.
    #[error("there is no {0}; /openapi.json lists what there is")]
    NotFound(String),
    /// The path has other methods.
    #[error("{path} does not take {verb}; it takes {allowed}")]
    Verb {
        /// The path.
        path: String,
        /// The method.
        verb: Method,
        /// Those that it has, as an `Allow` header names them.
        allowed: String,
    },
}

impl From<RouteError> for ApiError {
    fn from(error: RouteError) -> Self {
        let message = error.to_string();
        match error {
            RouteError::NotFound(path) => Self::new(Reason::RouteNotFound, message).with("path", path),
            RouteError::Verb { allowed, .. } => Self::new(Reason::MethodNotAllowed, message).with("allow", allowed),
        }
    }
}

/// The value of an `Allow` header.
pub fn allow(methods: &[Method]) -> String {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    // HEAD is answered wherever GET is.
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.dedup();
    names.join(", ")
}

impl Binding {
    fn of(rpc: &MethodDescriptor, rule: &DynamicMessage) -> Result<Self, BadRule> {
        let text = |name: &str| {
            let value = rule.get_field_by_name(name);
            value
                .and_then(|value| value.as_str().map(str::to_owned))
                .filter(|text| !text.is_empty())
        };
        let verbs = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH];
        let (verb, path) = verbs
            .into_iter()
            .find_map(|verb| text(&verb.as_str().to_ascii_lowercase()).map(|path| (verb, path)))
            .ok_or_else(|| BadRule::Field {
                rpc: rpc.full_name().to_owned(),
                field: "pattern".to_owned(),
            })?;
        let template = Template::parse(&path).map_err(|source| BadRule::Path {
            rpc: rpc.full_name().to_owned(),
            source,
        })?;
        for name in template.fields() {
            field(rpc, &rpc.input(), name)?;
        }
        let body = match text("body").as_deref() {
            None => Body::None,
            Some("*") => Body::Whole,
            Some(name) => Body::Field(field(rpc, &rpc.input(), name)?),
        };
        let answer = text("response_body")
            .map(|name| field(rpc, &rpc.output(), &name))
            .transpose()?;
        if let Some(scalar) = answer
            .as_ref()
            .filter(|field| field.kind().as_message().is_none() || field.is_list())
        {
            return Err(BadRule::Field {
                rpc: rpc.full_name().to_owned(),
                field: format!("{} (not a message)", scalar.name()),
            });
        }
        Ok(Self {
            rpc: rpc.clone(),
            verb,
            template,
            body,
            answer,
        })
    }

    /// The gRPC path of the RPC.
    pub fn rpc_path(&self) -> String {
        format!("/{}/{}", self.rpc.parent_service().full_name(), self.rpc.name())
    }
}

fn field(rpc: &MethodDescriptor, message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, BadRule> {
    message.get_field_by_name(name).ok_or_else(|| BadRule::Field {
        rpc: rpc.full_name().to_owned(),
        field: name.to_owned(),
    })
}
