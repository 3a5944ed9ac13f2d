//! Contains the tables for cache points and their time to live.

use crate::{
    pb,
    translate::table::{
        codec::{Grown, GrownOrDefault},
        object, words,
    },
};

object!(CachePointBlock {
    "type" => r#type + type_name: GrownOrDefault<pb::CachePointType>,
    "ttl" => ttl + ttl_name: Grown<pb::CacheTtl>,
});

words!(CachePointType { "default" => Default });

words!(CacheTtl {
    "5m" => CacheTtl5m,
    "1h" => CacheTtl1h,
});
