//! The recorded exchanges with Bedrock.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

/// The variable that names the folder. The folder's README describes its content.
const VARIABLE: &str = "BEDROCK_GRPC_RECORDED";

/// One exchange.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) model_id: String,
    /// The Bedrock request as recorded.
    pub(super) body: Box<RawValue>,
    /// What a correct reader returns for the answer. Null if the recording does not say.
    pub(super) expected: Value,
    pub(super) response: Vec<u8>,
    /// `request.json`.
    pub(super) request_file: PathBuf,
}

/// All exchanges of a kind, in the order in which the emulator replays those with the same request.
pub(super) struct Cases {
    pub(super) folder: PathBuf,
    pub(super) cases: Vec<Case>,
}

#[derive(Deserialize)]
struct RequestFile {
    #[serde(rename = "modelId")]
    model_id: String,
    body: Box<RawValue>,
}

/// Loads the exchanges of a kind: `stream`, `json` or `error`. Tests that need them are ignored if
/// the variable was not set when they were built.
pub(super) fn load(kind: &str) -> Cases {
    let root = env::var_os(VARIABLE).unwrap();
    let folder = Path::new(&root).join(kind);
    let mut folders: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("request.json").is_file())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} holds no case", folder.display());
    let cases = folders.iter().map(|folder| case(folder)).collect();
    Cases { folder, cases }
}

fn case(folder: &Path) -> Case {
    let request_file = folder.join("request.json");
    let request: RequestFile = read(&request_file);
    let expected = folder.join("expected.json");
    Case {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        model_id: request.model_id,
        body: request.body,
        expected: if expected.is_file() {
            read(&expected)
        } else {
            Value::Null
        },
        response: fs::read(folder.join("response.body")).unwrap(),
        request_file,
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
