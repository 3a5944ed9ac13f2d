//! Contains the tables for images, documents, video and audio.

use crate::{
    pb,
    translate::table::{
        codec::{Named, Optional, Required},
        object, plain_list, union, words,
    },
};

object!(S3Location {
    "uri" => uri: Required,
    "bucketOwner" => bucket_owner: Optional,
});

union!(media_source::Source in MediaSource.source {
    "bytes" => Bytes,
    "s3Location" => S3Location,
});

object!(ErrorBlock {
    "message" => message: Optional,
});

object!(ImageBlock {
    "format" => format + format_name: Named<pb::ImageFormat>,
    "source" => source: Optional,
    "error" => error: Optional,
});

words!(ImageFormat {
    "png" => Png,
    "jpeg" => Jpeg,
    "gif" => Gif,
    "webp" => Webp,
});

object!(DocumentBlock {
    "format" => format + format_name: Named<pb::DocumentFormat>,
    "name" => name: Required,
    "source" => source: Optional,
    "context" => context: Optional,
    "citations" => citations: Optional,
});

union!(document_source::Source in DocumentSource.source {
    "bytes" => Bytes,
    "s3Location" => S3Location,
    "text" => Text,
    "content" => Content,
});

plain_list!(DocumentContent.blocks);

union!(document_content_block::Content in DocumentContentBlock.content {
    "text" => Text,
});

words!(DocumentFormat {
    "pdf" => Pdf,
    "csv" => Csv,
    "doc" => Doc,
    "docx" => Docx,
    "xls" => Xls,
    "xlsx" => Xlsx,
    "html" => Html,
    "txt" => Txt,
    "md" => Md,
});

object!(VideoBlock {
    "format" => format + format_name: Named<pb::VideoFormat>,
    "source" => source: Optional,
});

words!(VideoFormat {
    "mkv" => Mkv,
    "mov" => Mov,
    "mp4" => Mp4,
    "webm" => Webm,
    "flv" => Flv,
    "mpeg" => Mpeg,
    "mpg" => Mpg,
    "wmv" => Wmv,
    "three_gp" => ThreeGp,
});

object!(AudioBlock {
    "format" => format + format_name: Named<pb::AudioFormat>,
    "source" => source: Optional,
    "error" => error: Optional,
});

words!(AudioFormat {
    "mp3" => Mp3,
    "opus" => Opus,
    "wav" => Wav,
    "aac" => Aac,
    "flac" => Flac,
    "mp4" => Mp4,
    "ogg" => Ogg,
    "mkv" => Mkv,
    "mka" => Mka,
    "x-aac" => XAac,
    "m4a" => M4a,
    "mpeg" => Mpeg,
    "mpga" => Mpga,
    "pcm" => Pcm,
    "webm" => Webm,
});
