//! Reads recordings from folders.

use std::{fs, io, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::case::Case;

/// The operation that returns an event stream.
const STREAM: &str = "converse-stream";

#[derive(Deserialize)]
struct RequestFile {
    #[serde(rename = "modelId")]
    model_id: String,
    body: Value,
}

#[derive(Deserialize)]
struct MetaFile {
    operation: String,
    status: u16,
    error_type: Option<String>,
}

/// Returns all recordings in a folder tree, in the order of their paths.
pub(super) fn tree(folder: &Path) -> io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    walk(folder, &mut cases)?;
    if cases.is_empty() {
        let text = format!(
            "{}: contains no recording (a folder with request.json, meta.json and response.body)",
            folder.display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(cases)
}

fn walk(folder: &Path, cases: &mut Vec<Case>) -> io::Result<()> {
    if folder.join("request.json").is_file() {
        cases.push(case(folder)?);
        return Ok(());
    }
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| named(folder, error))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    folders.iter().try_for_each(|folder| walk(folder, cases))
}

fn case(folder: &Path) -> io::Result<Case> {
    let request: RequestFile = json(&folder.join("request.json"))?;
    let meta: MetaFile = json(&folder.join("meta.json"))?;
    let response = folder.join("response.body");
    let response = fs::read(&response).map_err(|error| named(&response, error))?;
    Ok(Case {
        name: folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        model_id: request.model_id,
        request: request.body,
        streamed: meta.operation == STREAM,
        status: meta.status,
        error_type: meta.error_type,
        response: response.into(),
        turns: 0.into(),
    })
}

fn json<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let bytes = fs::read(path).map_err(|error| named(path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| named(path, error.into()))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    let text = format!(
        "{}: cannot be read: {error}; check the recording",
        path.display()
    );
    io::Error::new(error.kind(), text)
}
