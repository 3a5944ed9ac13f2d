//! Defines the input of Converse, ConverseStream and ApplyGuardrail, as in the service model
//! (botocore 1.44.8).

use super::{
    super::super::{
        projects::IDENTIFIER,
        shape::{
            ANY, Member, Shape,
            Shape::{Blob, Boolean, Document, Float, Integer, List, Map, Structure, Union},
            Size, Text, any_text, may, must, one_of, text,
        },
    },
    text as patterns,
};

/// The `modelId` in the path.
pub(super) static MODEL_ID: Text = Text::length(1, 2048);

/// The request body.
pub(super) static CONVERSE: Shape = Structure(&[
    may("messages", &List(&MESSAGE, ANY)),
    may("system", &List(&SYSTEM, ANY)),
    may("inferenceConfig", &INFERENCE),
    may("toolConfig", &TOOL_CONFIG),
    may("guardrailConfig", &GUARDRAIL),
    may("additionalModelRequestFields", &Document),
    may("promptVariables", &Map(&ANY_KEY, &PROMPT_VARIABLE, ANY)),
    may(
        "additionalModelResponseFieldPaths",
        &List(&FIELD_PATH, Size(0, 10)),
    ),
    may(
        "requestMetadata",
        &Map(&METADATA_KEY, &METADATA_VALUE, Size(1, 16)),
    ),
    may("performanceConfig", &Structure(&[may("latency", &LATENCY)])),
    may("serviceTier", &Structure(&[must("type", &TIER)])),
    may("outputConfig", &OUTPUT),
    may("projectIdentifier", &PROJECT),
]);

/// The `guardrailIdentifier` and `guardrailVersion` in the path of ApplyGuardrail.
pub(super) static GUARDRAIL_IDENTIFIER: Text =
    Text::length(0, 2048).matching(patterns::GUARDRAIL, patterns::guardrail);
pub(super) static GUARDRAIL_VERSION: Text = Text::length(0, usize::MAX)
    .matching("(|([1-9][0-9]{0,7})|(DRAFT))", patterns::guardrail_version);

/// The request body of ApplyGuardrail.
pub(super) static APPLY_GUARDRAIL: Shape = Structure(&[
    must("source", &one_of(&["INPUT", "OUTPUT"])),
    must("content", &List(&GUARDED, ANY)),
    may("outputScope", &one_of(&["INTERVENTIONS", "FULL"])),
]);
static GUARDED: Shape = Union(
    "GuardrailContentBlock",
    &[may("text", &GUARD_TEXT), may("image", &GUARDED_IMAGE)],
);
static GUARDED_IMAGE: Shape = Structure(&[
    must("format", &one_of(&["png", "jpeg"])),
    must("source", &Union("GuardrailImageSource", &[BYTES])),
]);

static ANY_KEY: Text = Text::length(0, usize::MAX);
static STRING: Shape = any_text();
static NON_EMPTY: Shape = text(1, usize::MAX);

static MESSAGE: Shape = Structure(&[
    must("role", &one_of(&["user", "assistant", "system"])),
    must("content", &List(&CONTENT, ANY)),
]);
static CONTENT: Shape = Union(
    "ContentBlock",
    &[
        may("text", &STRING),
        may("image", &IMAGE),
        may("toolUse", &TOOL_USE),
        may("toolResult", &TOOL_RESULT),
        may("document", &DOCUMENT),
        may("video", &VIDEO),
        may("audio", &AUDIO),
        may("guardContent", &GUARD_CONTENT),
        may("cachePoint", &CACHE_POINT),
        may("reasoningContent", &REASONING),
        may("citationsContent", &CITATIONS_CONTENT),
        may("searchResult", &SEARCH_RESULT),
        may("toolAddition", &TOOL_CHANGE),
        may("toolRemoval", &TOOL_CHANGE),
    ],
);
static SYSTEM: Shape = Union(
    "SystemContentBlock",
    &[
        may("text", &NON_EMPTY),
        may("guardContent", &GUARD_CONTENT),
        may("cachePoint", &CACHE_POINT),
    ],
);
static CACHE_POINT: Shape = Structure(&[
    must("type", &one_of(&["default"])),
    may("ttl", &one_of(&["5m", "1h"])),
]);

const BYTES: Member = may("bytes", &Blob);
const S3: Member = may("s3Location", &S3_LOCATION);
static S3_LOCATION: Shape = Structure(&[
    must(
        "uri",
        &Shape::String(Text::length(1, 1024).matching(patterns::S3_URI, patterns::s3_uri)),
    ),
    may(
        "bucketOwner",
        &Shape::String(Text::length(0, usize::MAX).matching("[0-9]{12}", patterns::account)),
    ),
]);
static ERROR: Shape = Structure(&[may("message", &STRING)]);
static IMAGE: Shape = Structure(&[
    must("format", &one_of(&["png", "jpeg", "gif", "webp"])),
    must("source", &Union("ImageSource", &[BYTES, S3])),
    may("error", &ERROR),
]);
static VIDEO: Shape = Structure(&[
    must(
        "format",
        &one_of(&[
            "mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp",
        ]),
    ),
    must("source", &Union("VideoSource", &[BYTES, S3])),
]);
static AUDIO: Shape = Structure(&[
    must(
        "format",
        &one_of(&[
            "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a",
            "mpeg", "mpga", "pcm", "webm",
        ]),
    ),
    must("source", &Union("AudioSource", &[BYTES, S3])),
    may("error", &ERROR),
]);
static DOCUMENT: Shape = Structure(&[
    may(
        "format",
        &one_of(&[
            "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md",
        ]),
    ),
    must("name", &text(1, 200)),
    must(
        "source",
        &Union(
            "DocumentSource",
            &[
                BYTES,
                S3,
                may("text", &NON_EMPTY),
                may("content", &List(&TEXT_UNION, Size(1, usize::MAX))),
            ],
        ),
    ),
    may("context", &NON_EMPTY),
    may("citations", &CITATIONS),
]);
static TEXT_UNION: Shape = Union("DocumentContentBlock", &[may("text", &NON_EMPTY)]);
static CITATIONS: Shape = Structure(&[must("enabled", &Boolean)]);
static SEARCH_RESULT: Shape = Structure(&[
    must("source", &STRING),
    must("title", &STRING),
    must(
        "content",
        &List(&Structure(&[must("text", &STRING)]), Size(1, usize::MAX)),
    ),
    may("citations", &CITATIONS),
]);

static TOOL_NAME: Shape =
    Shape::String(Text::length(1, 64).matching("[a-zA-Z0-9_-]+", patterns::tool_name));
static TOOL_USE_ID: Shape =
    Shape::String(Text::length(1, 64).matching("[a-zA-Z0-9_.:-]+", patterns::tool_use_id));
static TOOL_USE: Shape = Structure(&[
    must("toolUseId", &TOOL_USE_ID),
    must("name", &TOOL_NAME),
    must("input", &Document),
    may("type", &one_of(&["server_tool_use", "tool_use"])),
]);
static TOOL_RESULT: Shape = Structure(&[
    must("toolUseId", &TOOL_USE_ID),
    must("content", &List(&TOOL_RESULT_CONTENT, ANY)),
    may("status", &one_of(&["success", "error"])),
    may("type", &STRING),
]);
static TOOL_RESULT_CONTENT: Shape = Union(
    "ToolResultContentBlock",
    &[
        may("json", &Document),
        may("text", &STRING),
        may("image", &IMAGE),
        may("document", &DOCUMENT),
        may("video", &VIDEO),
        may("searchResult", &SEARCH_RESULT),
    ],
);
static TOOL_CHANGE: Shape = Structure(&[must(
    "tool",
    &Structure(&[
        may("type", &STRING),
        may("name", &STRING),
        may("serverName", &STRING),
    ]),
)]);
static TOOL_CONFIG: Shape = Structure(&[
    must("tools", &List(&TOOL, Size(1, usize::MAX))),
    may("toolChoice", &TOOL_CHOICE),
]);
static TOOL: Shape = Union(
    "Tool",
    &[
        may("toolSpec", &TOOL_SPEC),
        may("systemTool", &Structure(&[must("name", &TOOL_NAME)])),
        may("cachePoint", &CACHE_POINT),
    ],
);
static TOOL_SPEC: Shape = Structure(&[
    must("name", &TOOL_NAME),
    may("description", &NON_EMPTY),
    must(
        "inputSchema",
        &Union("ToolInputSchema", &[may("json", &Document)]),
    ),
    may("strict", &Boolean),
]);
static TOOL_CHOICE: Shape = Union(
    "ToolChoice",
    &[
        may("auto", &Structure(&[])),
        may("any", &Structure(&[])),
        may("tool", &Structure(&[must("name", &TOOL_NAME)])),
    ],
);

static GUARD_CONTENT: Shape = Union(
    "GuardrailConverseContentBlock",
    &[may("text", &GUARD_TEXT), may("image", &GUARD_IMAGE)],
);
static GUARD_TEXT: Shape = Structure(&[
    must("text", &STRING),
    may(
        "qualifiers",
        &List(
            &one_of(&["grounding_source", "query", "guard_content"]),
            ANY,
        ),
    ),
]);
static GUARD_IMAGE: Shape = Structure(&[
    must("format", &one_of(&["png", "jpeg"])),
    must("source", &Union("GuardrailConverseImageSource", &[BYTES])),
]);
static GUARDRAIL: Shape = Structure(&[
    may(
        "guardrailIdentifier",
        &Shape::String(Text::length(0, 2048).matching(patterns::GUARDRAIL, patterns::guardrail)),
    ),
    may(
        "guardrailVersion",
        &Shape::String(
            Text::length(0, usize::MAX)
                .matching("(|([1-9][0-9]{0,7})|(DRAFT))", patterns::guardrail_version),
        ),
    ),
    may("trace", &one_of(&["enabled", "disabled", "enabled_full"])),
    may("streamProcessingMode", &one_of(&["sync", "async"])),
]);

static REASONING: Shape = Union(
    "ReasoningContentBlock",
    &[
        may(
            "reasoningText",
            &Structure(&[must("text", &STRING), may("signature", &STRING)]),
        ),
        may("redactedContent", &Blob),
    ],
);
static CITATIONS_CONTENT: Shape = Structure(&[
    may(
        "content",
        &List(
            &Union("CitationGeneratedContent", &[may("text", &STRING)]),
            ANY,
        ),
    ),
    may("citations", &List(&CITATION, ANY)),
]);
static CITATION: Shape = Structure(&[
    may("title", &STRING),
    may("source", &STRING),
    may(
        "sourceContent",
        &List(
            &Union("CitationSourceContent", &[may("text", &STRING)]),
            ANY,
        ),
    ),
    may(
        "location",
        &Union(
            "CitationLocation",
            &[
                may(
                    "web",
                    &Structure(&[may("url", &STRING), may("domain", &STRING)]),
                ),
                may("documentChar", &RANGE),
                may("documentPage", &RANGE),
                may("documentChunk", &RANGE),
                may("searchResultLocation", &SEARCH_RANGE),
            ],
        ),
    ),
]);
static RANGE: Shape = Structure(&[
    may("documentIndex", &Integer(0)),
    may("start", &Integer(0)),
    may("end", &Integer(0)),
]);
static SEARCH_RANGE: Shape = Structure(&[
    may("searchResultIndex", &Integer(0)),
    may("start", &Integer(0)),
    may("end", &Integer(0)),
]);

static INFERENCE: Shape = Structure(&[
    may("maxTokens", &Integer(1)),
    may("temperature", &Float(0.0, 1.0)),
    may("topP", &Float(0.0, 1.0)),
    may("stopSequences", &List(&NON_EMPTY, Size(0, 2500))),
]);
static PROMPT_VARIABLE: Shape = Union("PromptVariableValues", &[may("text", &STRING)]);
static FIELD_PATH: Shape = text(1, 256);
static METADATA_KEY: Text =
    Text::length(1, 256).matching(r"[a-zA-Z0-9\s:_@$#=/+,-.]{1,256}", patterns::metadata);
static METADATA_VALUE: Shape = Shape::String(
    Text::length(0, 256).matching(r"[a-zA-Z0-9\s:_@$#=/+,-.]{0,256}", patterns::metadata),
);
static LATENCY: Shape = one_of(&["standard", "optimized"]);
static PROJECT: Shape = Shape::String(IDENTIFIER);
static TIER: Shape = one_of(&["default", "flex", "priority", "reserved"]);
static OUTPUT: Shape = Structure(&[
    may(
        "textFormat",
        &Structure(&[
            must("type", &one_of(&["json_schema"])),
            must(
                "structure",
                &Union("OutputFormatStructure", &[may("jsonSchema", &JSON_SCHEMA)]),
            ),
        ]),
    ),
    may(
        "effort",
        &one_of(&["low", "medium", "high", "xhigh", "max"]),
    ),
]);
static JSON_SCHEMA: Shape = Structure(&[
    must("schema", &STRING),
    may("name", &STRING),
    may("description", &STRING),
]);
