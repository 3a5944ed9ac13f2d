//! Contains the tables for cache points and their time to live.

use crate::{
    pb,
    translate::table::{
        codec::{Choice, Defaulted},
        object, words,
    },
};

object!(CachePointBlock {
    "type" => r#type: Defaulted<pb::CachePointType>,
    "ttl" => ttl: Choice<pb::CacheTtl>,
});

words!(CachePointType { "default" => Default });

words!(CacheTtl {
    "5m" => CacheTtl5m,
    "1h" => CacheTtl1h,
});
