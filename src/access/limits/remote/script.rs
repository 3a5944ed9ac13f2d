//! The scripts that the store executes, and the commands that call them.

use std::fmt::Write as _;

use redis::{
    Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind,
    aio::MultiplexedConnection,
};

use crate::access::limits::{kind::Amounts, store::Scopes};

const LEVEL: &str = include_str!("level.lua");
/// The first lines of scripts. Scripts that only release or correct amounts must work even if the
/// store's memory is full. Such flags need Redis 7.
const REFUSED_WHEN_FULL: &str = "#!lua";
const ALLOWED_WHEN_FULL: &str = "#!lua flags=allow-oom";

/// The maximum number of tokens that is counted for a call. Together with the bounds of the
/// configuration, it keeps counts below 2^53, up to which numbers in Lua are exact.
const MOST_TOKENS: u64 = 50_000_000_000;
/// The maximum cost that is counted for a call, in 1e-9 US dollars. It keeps counts below 2^53,
/// too.
const MOST_MONEY: u64 = 1_000_000_000_000_000;

/// The scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) reserve: Program,
    pub(super) settle: Program,
    pub(super) renew: Program,
    pub(super) lapse: Program,
    pub(super) leave: Program,
}

/// A script and its hash.
#[derive(Debug)]
pub(super) struct Program {
    source: String,
    sha1: String,
}

/// A call of a script, with its arguments.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) program: &'a Program,
    pub(super) keys: Vec<String>,
    pub(super) arguments: Vec<String>,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self::with_level(LEVEL)
    }

    fn with_level(level: &str) -> Self {
        let program = |flags: &str, body: &str| {
            let source = format!("{flags}\n{level}\n{body}");
            let sha1 = Script::new(&source).get_hash().to_owned();
            Program { source, sha1 }
        };
        Self {
            reserve: program(REFUSED_WHEN_FULL, include_str!("reserve.lua")),
            settle: program(ALLOWED_WHEN_FULL, include_str!("settle.lua")),
            renew: program(ALLOWED_WHEN_FULL, include_str!("renew.lua")),
            lapse: program(ALLOWED_WHEN_FULL, include_str!("lapse.lua")),
            leave: program(ALLOWED_WHEN_FULL, include_str!("leave.lua")),
        }
    }

    /// Creates scripts for tests, which read the time from a key of the store.
    #[cfg(test)]
    pub(super) fn with_clock(key: &str) -> Self {
        let real = "  local time = redis.call('TIME')\n  return time[1] * 1000 + math.floor(time[2] / 1000)\n";
        assert!(LEVEL.contains(real));
        let from_key = format!("  return tonumber(redis.call('GET', '{key}'))\n");
        Self::with_level(&LEVEL.replace(real, &from_key))
    }
}

impl Call<'_> {
    /// Returns the command that calls the script by its hash.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.program.sha1)
    }

    /// Returns the command that sends the script and calls it. The store then keeps the script.
    pub(super) fn in_full(&self) -> Cmd {
        self.command("EVAL", &self.program.source)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command
            .arg(script)
            .arg(self.keys.len())
            .arg(&self.keys)
            .arg(&self.arguments);
        command
    }

    /// Calls the script. If the store does not have it, for example after a restart, sends it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<T> {
        match self.by_hash().query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.in_full().query_async(connection).await
            }
            result => result,
        }
    }
}

/// Formats the limits of scopes for scripts: `kind:most,kind:most;kind:most`.
pub(super) fn limits_of(scopes: &Scopes) -> String {
    let mut out = String::new();
    for scope in scopes.iter() {
        for limit in &scope.limits {
            // Writing to a `String` cannot fail.
            let _infallible = write!(out, "{}:{},", limit.kind as usize, limit.most);
        }
        out.pop();
        out.push(';');
    }
    out.pop();
    out
}

/// Formats the names of scopes, such as `caller:team-a;group:all`. Characters that could end a name
/// are percent-encoded.
pub(super) fn names_of(scopes: &Scopes) -> Vec<String> {
    scopes
        .iter()
        .map(|scope| {
            let mut out = format!("{}:", scope.kind.as_str());
            for byte in scope.name.bytes() {
                if byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    let _infallible = write!(out, "%{byte:02X}");
                }
            }
            out
        })
        .collect()
}

/// Formats amounts as arguments of scripts.
pub(super) fn arguments_of(amounts: &Amounts) -> [String; 4] {
    [
        amounts.requests.min(MOST_TOKENS),
        amounts.input.min(MOST_TOKENS),
        amounts.output.min(MOST_TOKENS),
        amounts.nano_usd.min(MOST_MONEY),
    ]
    .map(|amount| amount.to_string())
}
