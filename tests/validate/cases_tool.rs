//! Tools, their calls and results.

use bedrock_grpc::pb::{
    self, tool::Tool, tool_choice::Choice, tool_input_schema::Schema,
    tool_result_content_block::Content as Part, tool_use_block::Input,
};
use prost_types::value::Kind;

use super::request::{
    Accepted, Case, deep_structure, input, structure, tool_config, tool_result, tool_spec, tool_use,
};

fn spec(r: &mut pb::StreamInvokeRequest) -> &mut pb::ToolSpecification {
    tool_spec(input(r))
}

fn schema(r: &mut pb::StreamInvokeRequest, schema: Schema) {
    spec(r).input_schema = Some(pb::ToolInputSchema {
        schema: Some(schema),
    });
}

fn tool(r: &mut pb::StreamInvokeRequest, index: usize, tool: Option<Tool>) {
    tool_config(input(r)).tools[index].tool = tool;
}

fn system_tool(r: &mut pb::StreamInvokeRequest, name: &str) {
    let name = name.into();
    tool(r, 1, Some(Tool::SystemTool(pb::SystemTool { name })));
}

fn choice(r: &mut pb::StreamInvokeRequest, choice: Option<Choice>) {
    tool_config(input(r)).tool_choice = Some(pb::ToolChoice { choice });
}

fn specific(name: &str) -> Option<Choice> {
    Some(Choice::Tool(pb::SpecificToolChoice { name: name.into() }))
}

fn part(r: &mut pb::StreamInvokeRequest, part: Option<Part>) {
    tool_result(input(r)).content[0].content = part;
}

pub(crate) const CASES: &[Case] = &[
    ("input.tool_config.tools", &["at least one"], |r| {
        tool_config(input(r)).tools.clear();
        tool_config(input(r)).tool_choice = None;
    }),
    (
        "input.tool_config.tools[1]",
        &["empty", "system_tool"],
        |r| tool(r, 1, None),
    ),
    ("input.tool_config.tools[2].cache_point.type", &["5"], |r| {
        tool(
            r,
            2,
            Some(Tool::CachePoint(pb::CachePointBlock {
                r#type: 5,
                ..Default::default()
            })),
        );
    }),
    (
        "input.tool_config.tools[1].system_tool.name",
        &["required", "64"],
        |r| system_tool(r, ""),
    ),
    (
        "input.tool_config.tools[1].system_tool.name",
        &["invalid value"],
        |r| system_tool(r, "a.b"),
    ),
    (
        "input.tool_config.tools[1].system_tool.name",
        &["earlier tool", "unique"],
        |r| system_tool(r, "add"),
    ),
    (
        "input.tool_config.tools[0].tool_spec.name",
        &["required"],
        |r| {
            spec(r).name.clear();
            choice(r, specific("nova_grounding"));
        },
    ),
    (
        "input.tool_config.tools[0].tool_spec.name",
        &["a b", "[a-zA-Z0-9_-]"],
        |r| {
            spec(r).name = "a b".into();
            choice(r, specific("nova_grounding"));
        },
    ),
    ("input.tool_config.tools[0].tool_spec.name", &["64"], |r| {
        spec(r).name = "x".repeat(65);
        choice(r, specific("nova_grounding"));
    }),
    (
        "input.tool_config.tools[0].tool_spec.description",
        &["empty"],
        |r| spec(r).description = Some(String::new()),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema",
        &["required", "JSON Schema"],
        |r| spec(r).input_schema = None,
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema",
        &["empty", "json_struct"],
        |r| spec(r).input_schema = Some(Default::default()),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json",
        &["empty"],
        |r| schema(r, Schema::Json(String::new())),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json",
        &["not valid JSON", "byte"],
        |r| schema(r, Schema::Json("{\"a\"".into())),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json",
        &["not an object"],
        |r| schema(r, Schema::Json("true".into())),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json",
        &["not an object"],
        |r| schema(r, Schema::Json(" [{}]".into())),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json",
        &["1000 levels"],
        |r| {
            schema(
                r,
                Schema::Json(format!("{}1{}", "{\"a\":".repeat(1_001), "}".repeat(1_001))),
            );
        },
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json_struct",
        &["kind"],
        |r| schema(r, Schema::JsonStruct(structure(None))),
    ),
    (
        "input.tool_config.tools[0].tool_spec.input_schema.json_struct",
        &["1000 levels"],
        |r| schema(r, Schema::JsonStruct(deep_structure(1_001))),
    ),
    ("input.tool_config.tool_choice", &["empty", "auto"], |r| {
        choice(r, None)
    }),
    (
        "input.tool_config.tool_choice.tool.name",
        &["sub", "not a tool"],
        |r| choice(r, specific("sub")),
    ),
    (
        "input.tool_config.tool_choice.tool.name",
        &["not a tool"],
        |r| choice(r, specific("")),
    ),
    (
        "input.messages[1].content[3].tool_use.tool_use_id",
        &["required"],
        |r| tool_use(input(r)).tool_use_id.clear(),
    ),
    (
        "input.messages[1].content[3].tool_use.name",
        &["required"],
        |r| tool_use(input(r)).name.clear(),
    ),
    (
        "input.messages[1].content[3].tool_use.input",
        &["required", "input_json"],
        |r| tool_use(input(r)).input = None,
    ),
    (
        "input.messages[1].content[3].tool_use.input_json",
        &["not valid JSON"],
        |r| {
            tool_use(input(r)).input = Some(Input::InputJson("{\"cut of".into()));
        },
    ),
    (
        "input.messages[1].content[3].tool_use.input_struct",
        &["infinities"],
        |r| {
            tool_use(input(r)).input = Some(Input::InputStruct(structure(Some(
                Kind::NumberValue(f64::INFINITY),
            ))));
        },
    ),
    (
        "input.messages[2].content[0].tool_result.tool_use_id",
        &["required"],
        |r| tool_result(input(r)).tool_use_id.clear(),
    ),
    (
        "input.messages[2].content[0].tool_result.status",
        &["7"],
        |r| tool_result(input(r)).status = 7,
    ),
    (
        "input.messages[3].content[2].tool_result",
        &["ROLE_SYSTEM"],
        |r| {
            let block = input(r).messages[2].content[0].clone();
            tool_result(input(r)).content.truncate(1);
            input(r).messages[3].content.push(block);
        },
    ),
    (
        "input.messages[2].content[0].tool_result.content[0]",
        &["empty", "search_result"],
        |r| part(r, None),
    ),
    (
        "input.messages[2].content[0].tool_result.content[0].json",
        &["not valid JSON"],
        |r| part(r, Some(Part::Json("hello".into()))),
    ),
    (
        "input.messages[2].content[0].tool_result.content[0].json_struct",
        &["kind"],
        |r| part(r, Some(Part::JsonStruct(structure(None)))),
    ),
    (
        "input.messages[2].content[0].tool_result.content[3].image.format",
        &["required"],
        |r| {
            if let Some(Part::Image(image)) = &mut tool_result(input(r)).content[3].content {
                image.format = 0;
            }
        },
    ),
    (
        "input.messages[2].content[0].tool_result.content[4].document.name",
        &["required"],
        |r| {
            if let Some(Part::Document(document)) = &mut tool_result(input(r)).content[4].content {
                document.name.clear();
            }
        },
    ),
    (
        "input.messages[2].content[0].tool_result.content[5].video.source",
        &["required"],
        |r| {
            if let Some(Part::Video(video)) = &mut tool_result(input(r)).content[5].content {
                video.source = None;
            }
        },
    ),
    (
        "input.messages[2].content[0].tool_result.content[6].search_result.title",
        &["required"],
        |r| {
            if let Some(Part::SearchResult(result)) = &mut tool_result(input(r)).content[6].content
            {
                result.title.clear();
            }
        },
    ),
];

pub(crate) const ACCEPTED: &[Accepted] = &[
    ("no tools", |r| input(r).tool_config = None),
    ("no choice", |r| tool_config(input(r)).tool_choice = None),
    ("any choice", |r| {
        choice(r, Some(Choice::Any(Default::default())))
    }),
    ("the choice of a system tool", |r| {
        choice(r, specific("nova_grounding"))
    }),
    ("the longest tool name", |r| {
        spec(r).name = "x".repeat(64);
        choice(r, specific(&"x".repeat(64)));
    }),
    ("a tool without a description", |r| {
        spec(r).description = None
    }),
    ("a schema as a Struct of the greatest depth", |r| {
        schema(r, Schema::JsonStruct(deep_structure(1_000)))
    }),
    ("a schema of the greatest depth", |r| {
        schema(
            r,
            Schema::Json(format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000))),
        );
    }),
    ("a tool's input that is no object", |r| {
        tool_use(input(r)).input = Some(Input::InputJson("\"x\"".into()))
    }),
    ("a tool that Bedrock ran", |r| {
        tool_use(input(r)).r#type = Some("server_tool_use".into())
    }),
    ("an ID and a name of another form than documented", |r| {
        let id = "call/1 é".repeat(20);
        tool_use(input(r)).name = "a.b".into();
        tool_use(input(r)).tool_use_id.clone_from(&id);
        tool_result(input(r)).tool_use_id = id;
    }),
    ("a result without content", |r| {
        tool_result(input(r)).content.clear()
    }),
    ("a result that says nothing of success", |r| {
        tool_result(input(r)).status = 0
    }),
];
