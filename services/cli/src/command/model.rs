//! `lepton model`: keep models and choose which version is served.

use std::process::ExitCode;

use lepton_domain::reason::ApiError;
use serde_json::{Value, json};

use super::Session;
use crate::advice::EXIT_DONE;
use crate::args::model::Model;
use crate::client::{escape, read_json};
use crate::input;
use crate::output::line;
use crate::output::table::{more, print, text};

/// Runs one of them.
pub(super) async fn run(session: &Session, args: Model) -> Result<ExitCode, ApiError> {
    let client = &session.client;
    match args {
        Model::Push { name, file, deploy } => return push(session, &name, &file, deploy).await,
        Model::List(page) => {
            let body = client.get(&page.of("/api/v1/models")).await?;
            session.print(&body, |answer| {
                models(&list(&answer["models"]));
                more(answer);
            })?;
        }
        Model::Get { name } => show(session, &client.get(&path(&name, "")).await?)?,
        Model::Deploy { name, version } => {
            let wanted = json!({ "version": version }).to_string();
            show(session, &client.post(&path(&name, ":deploy"), wanted).await?)?;
        }
        Model::Undeploy { name } => show(session, &client.post(&path(&name, ":undeploy"), "{}").await?)?,
        Model::Rollback { name } => show(session, &client.post(&path(&name, ":rollback"), "{}").await?)?,
        Model::Delete { name, version } => {
            let body = client.delete(&path(&name, &format!("/versions/{version}"))).await?;
            session.print(&body, |_gone| line(&format!("deleted {name} version {version}")))?;
        }
    }
    Ok(EXIT_DONE)
}

fn path(name: &str, rest: &str) -> String {
    format!("/api/v1/models/{}{rest}", escape(name))
}

async fn push(session: &Session, name: &str, file: &std::path::Path, deploy: bool) -> Result<ExitCode, ApiError> {
    let content = input::bytes(file)?;
    let body = session.client.post(&path(name, ":push"), content).await?;
    if !deploy {
        session.print(&body, |version| versions(std::slice::from_ref(version)))?;
        return Ok(EXIT_DONE);
    }
    let wanted = json!({ "version": read_json(&body)?["version"] }).to_string();
    show(session, &session.client.post(&path(name, ":deploy"), wanted).await?)?;
    Ok(EXIT_DONE)
}

/// Shows one model.
fn show(session: &Session, body: &[u8]) -> Result<(), ApiError> {
    session.print(body, |model| {
        line(&format!("{}  {}", text(&model["name"]), serving(model)));
        versions(&list(&model["versions"]));
    })
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn serving(model: &Value) -> String {
    match model["deployedVersion"].as_u64() {
        Some(version) if version > 0 => format!("serves version {version}"),
        _ => "serves no version".to_owned(),
    }
}

fn models(models: &[Value]) {
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|model| {
            let versions = list(&model["versions"]);
            let newest = versions.first().cloned().unwrap_or_default();
            vec![
                text(&model["name"]),
                serving(model),
                versions.len().to_string(),
                text(&newest["version"]),
                text(&newest["createTime"]),
            ]
        })
        .collect();
    print(&["name", "serving", "versions", "newest", "pushed"], &rows);
}

fn versions(versions: &[Value]) {
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|version| {
            let state = text(&version["state"]).trim_start_matches("STATE_").to_lowercase();
            vec![
                text(&version["name"]),
                text(&version["version"]),
                state,
                signature(&version["inputs"]),
                signature(&version["outputs"]),
                list(&version["loadedOn"]).len().to_string(),
                text(&version["createTime"]),
            ]
        })
        .collect();
    print(
        &["name", "version", "state", "inputs", "outputs", "workers", "pushed"],
        &rows,
    );
}

/// Tensors as `features FP64[-1,10]`.
fn signature(tensors: &Value) -> String {
    let tensor = |tensor: &Value| {
        // 64-bit integers print as texts.
        let shape: Vec<String> = list(&tensor["shape"]).iter().map(text).collect();
        format!(
            "{} {}[{}]",
            text(&tensor["name"]),
            text(&tensor["datatype"]),
            shape.join(",")
        )
    };
    list(tensors).iter().map(tensor).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_fits_on_a_line() {
        let tensors = json!([{ "name": "features", "datatype": "FP64", "shape": ["-1", "10"] }]);
        assert_eq!(signature(&tensors), "features FP64[-1,10]");
        assert_eq!(serving(&json!({ "deployedVersion": 2 })), "serves version 2");
        assert_eq!(serving(&json!({ "deployedVersion": 0 })), "serves no version");
    }
}
