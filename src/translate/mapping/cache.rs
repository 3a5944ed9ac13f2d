//! Contains the tables for cache points and their time to live.

use crate::{
    pb,
    translate::table::{
        codec::{OpenChoice, OpenDefaulted},
        object, words,
    },
};

object!(CachePointBlock {
    "type" => r#type + type_name: OpenDefaulted<pb::CachePointType>,
    "ttl" => ttl + ttl_name: OpenChoice<pb::CacheTtl>,
});

words!(CachePointType { "default" => Default });

words!(CacheTtl {
    "5m" => CacheTtl5m,
    "1h" => CacheTtl1h,
});
