//! `emulate`: runs the emulator alone, for any AWS SDK.

use std::{
    fmt::Write as _, fs, io, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration,
};

use bedrock_emulator::{
    AccessKey, Credentials, Cut, Emulator, Fault, Options, Pace, Project, Replay,
};

use super::{emulated_quotas::EmulatedQuotas, socket_address};

/// The width of the column with the descriptions of faults in the help.
const FAULT_COLUMNS: usize = 65;

/// Run a local Bedrock that any AWS SDK accepts
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = faults())]
pub struct Args {
    /// Address for plain HTTP; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8900", value_parser = socket_address::parse)]
    pub listen: SocketAddr,
    /// Address for TLS with HTTP/2 and HTTP/1.1, with a certificate that is created for this run
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address::parse)]
    pub tls_listen: Option<SocketAddr>,
    /// Write the CA certificate, which TLS clients must trust, to this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_listen")]
    pub ca_out: Option<PathBuf>,
    /// Source Region of calls with a bearer token, because they have no signature that names one
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// Time until the first event, such as 300ms or 1.5s
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = duration)]
    pub time_to_first_token: Duration,
    /// Speed of the stream after the first event, in tokens per second. 0 means as fast as possible
    #[arg(long, value_name = "RATE", default_value_t = 40.0, value_parser = rate)]
    pub tokens_per_second: f64,
    /// Length of text answers in tokens, unless the request's maxTokens is lower
    #[arg(long, value_name = "NUMBER")]
    pub tokens: Option<NonZeroUsize>,
    /// Serve recorded exchanges from this folder instead of generated answers
    #[arg(long, value_name = "FOLDER")]
    pub replay: Option<PathBuf>,
    /// Fault for every call, such as throttling or reset-after-3; --help lists all
    #[arg(long, value_name = "NAME")]
    pub fault: Option<Fault>,
    /// How to split streams into writes: one per frame (`frames`), odd small sizes (`awkward`), or
    /// a number of bytes
    #[arg(long, default_value = "frames")]
    pub cut: Cut,
    /// Maximum number of concurrent streams of an HTTP/2 connection
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub max_concurrent_streams: u32,
    /// Also accept this access key: ID:SECRET or ID:SECRET:SESSION_TOKEN
    #[arg(long, value_name = "KEY", value_parser = access_key)]
    pub access_key: Vec<AccessKey>,
    /// Also accept this bearer token (a Bedrock API key)
    #[arg(long, value_name = "TOKEN")]
    pub bearer_token: Vec<String>,
    /// ARN of a project that exists, in addition to the default projects
    #[arg(long, value_name = "ARN")]
    pub project: Vec<Project>,
    /// Accept all calls: check neither signatures nor tokens
    #[arg(long)]
    pub unchecked: bool,
    /// Number of threads
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub threads: NonZeroUsize,
    /// Write the endpoint URLs to this file or named pipe when ready, one per line: HTTP, then TLS
    #[arg(long, value_name = "FILE")]
    pub announce: Option<PathBuf>,
    /// The emulated account's quotas
    #[command(flatten)]
    pub rates: EmulatedQuotas,
}

impl Args {
    /// Converts the arguments into options of the emulator.
    ///
    /// # Errors
    /// Fails if the recordings cannot be loaded.
    pub fn options(&self) -> io::Result<Options> {
        let mut credentials = Credentials::default();
        credentials
            .access_keys
            .extend(self.access_key.iter().cloned());
        credentials
            .bearer_tokens
            .extend(self.bearer_token.iter().cloned());
        credentials.checked = !self.unchecked;
        let pace = Pace::tokens_per_second(self.time_to_first_token, self.tokens_per_second);
        Ok(Options {
            listen: self.listen,
            tls_listen: self.tls_listen,
            region: self.region.clone(),
            pace: Pace {
                tokens: self.tokens,
                ..pace
            },
            credentials,
            fault: self.fault,
            quotas: self.rates.quotas(),
            projects: self.project.clone(),
            replay: self.replay.as_ref().map(Replay::load).transpose()?,
            max_concurrent_streams: self.max_concurrent_streams,
            cut: self.cut,
            threads: self.threads,
            loopback_hosts_only: self.answers_loopback_names_only(),
            ..Options::default()
        })
    }

    /// Returns whether all listeners are on loopback addresses. The emulator then refuses requests
    /// with other host names, because they come from web pages that use DNS rebinding.
    fn answers_loopback_names_only(&self) -> bool {
        let is_loopback = |address: SocketAddr| address.ip().is_loopback();
        is_loopback(self.listen) && self.tls_listen.is_none_or(is_loopback)
    }

    /// Starts the emulator with the result of [`Self::options`], prints how to use it to `out`, and
    /// serves until Ctrl-C or SIGTERM.
    ///
    /// # Errors
    /// Fails if an address cannot be bound, or if `out` or a file cannot be written.
    pub async fn run(self, options: Options, mut out: impl io::Write) -> io::Result<()> {
        let emulator = Emulator::start(options)?;
        if let (Some(path), Some(pem)) = (&self.ca_out, emulator.ca_pem()) {
            fs::write(path, pem).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("--ca-out {}: {error}", path.display()),
                )
            })?;
        }
        out.write_all(self.welcome(&emulator).as_bytes())?;
        out.flush()?;
        if let Some(path) = self.announce {
            let mut urls = format!("{}\n", emulator.endpoint_url());
            urls.extend(emulator.tls_endpoint_url().map(|url| format!("{url}\n")));
            let told = path.display().to_string();
            // Opening a named pipe blocks until a reader opens it.
            tokio::task::spawn_blocking(move || fs::write(path, urls))
                .await?
                .map_err(|error| {
                    io::Error::new(error.kind(), format!("--announce {told}: {error}"))
                })?;
        }
        asked_to_stop().await?;
        emulator.stop().await;
        Ok(())
    }

    /// Returns a text with the addresses, and with the environment variables by which an SDK calls
    /// the emulator.
    fn welcome(&self, emulator: &Emulator) -> String {
        let url = emulator.endpoint_url();
        let mut text = format!("Bedrock emulator at {url}\n");
        if let Some(tls) = emulator.tls_endpoint_url() {
            text.extend(["with TLS at ", &tls, "\n"]);
        }
        let key = Credentials::default().access_keys;
        let (id, secret) = key.first().map_or(("", ""), |key| (&key.id, &key.secret));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\nAny AWS SDK in this environment calls it:\n\n\
             export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={url}\n\
             export AWS_ENDPOINT_URL_BEDROCK={url}\n\
             export AWS_ACCESS_KEY_ID={id}\n\
             export AWS_SECRET_ACCESS_KEY={secret}\n\
             export AWS_REGION={region}\n\
             unset AWS_SESSION_TOKEN AWS_BEARER_TOKEN_BEDROCK\n\n\
             Calls so far: curl {url}/_emulator/calls\n",
            region = self.region,
        );
        text
    }
}

#[cfg(unix)]
async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

fn faults() -> String {
    let mut text = "Faults, for --fault, the header x-emulator-fault or the end of a model ID (.fault-NAME). \
                    Faults of a stream accept -after-N (after N content deltas; 0: before the first) or -after-EVENT, such as -after-messageStop.\n\n"
        .to_owned();
    for (name, about) in Fault::all() {
        let mut width = 0;
        let _ = write!(text, "  {name:<29}");
        for word in about.split(' ') {
            if width + word.len() >= FAULT_COLUMNS {
                let _ = write!(text, "\n{:31}", "");
                width = 0;
            }
            let _ = write!(text, " {word}");
            width += word.len() + 1;
        }
        text.push('\n');
    }
    text
}

fn duration(text: &str) -> Result<Duration, String> {
    let hint =
        || format!("{text:?} is not a duration: use a number with a unit, such as 300ms or 1.5s");
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1e-3),
        (None, Some(number)) => (number, 1.0),
        (None, None) if text == "0" => (text, 1.0),
        (None, None) => return Err(hint()),
    };
    let number: f64 = number.parse().map_err(|_| hint())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| hint())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err(format!(
            "{text:?} is not a number of at least 0, such as 40 or 0.5"
        )),
    }
}

fn access_key(text: &str) -> Result<AccessKey, String> {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(secret), session_token) if !id.is_empty() && !secret.is_empty() => {
            Ok(AccessKey {
                id,
                secret,
                session_token,
            })
        }
        _ => Err("expected ID:SECRET or ID:SECRET:SESSION_TOKEN".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Args, String> {
        let all = ["emulate"].iter().chain(arguments);
        Cli::try_parse_from(all)
            .map(|cli| cli.args)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_become_options() {
        let args = parse(&[
            "--listen",
            "127.0.0.1:0",
            "--time-to-first-token",
            "1.5s",
            "--tokens-per-second",
            "50",
            "--tokens",
            "7",
            "--fault",
            "reset-after-3",
            "--cut",
            "awkward",
            "--access-key",
            "ME:SECRET",
            "--project",
            "arn:aws:bedrock:us-east-1:123456789012:project/search",
            "--unchecked",
            "--requests-per-minute",
            "60",
            "--tokens-per-minute",
            "100000",
        ]);
        let options = args
            .and_then(|args| args.options().map_err(|error| error.to_string()))
            .unwrap();
        assert_eq!(
            options.pace.time_to_first_token,
            Duration::from_millis(1500)
        );
        assert_eq!(options.pace.inter_token_delay, Duration::from_millis(20));
        assert_eq!(options.pace.tokens, NonZeroUsize::new(7));
        assert_eq!(
            options.fault.map(|fault| fault.to_string()).as_deref(),
            Some("reset-after-3")
        );
        assert_eq!(options.cut, Cut::Awkward);
        assert_eq!(options.credentials.access_keys.len(), 2);
        assert_eq!(options.projects.len(), 1);
        assert!(!options.credentials.checked);
        let rate = options.quotas.of("any-model", "us-east-1").cross_region;
        assert_eq!(
            (rate.requests_per_minute, rate.tokens_per_minute),
            (Some(60), Some(100_000))
        );
    }

    #[test]
    fn bad_arguments_say_what_would_do() {
        let cases: [(&[&str], &str); 7] = [
            (&["--time-to-first-token", "soon"], "300ms"),
            (&["--time-to-first-token=-1s"], "300ms"),
            (&["--tokens-per-second=-1"], "at least 0"),
            (&["--cut", "0"], "awkward"),
            (&["--fault", "boom"], "throttling"),
            (&["--access-key", "ME"], "ID:SECRET"),
            (&["--project", "search"], "arn:aws:bedrock:REGION"),
        ];
        for (arguments, hint) in cases {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(hint), "{error}");
        }
        let missing = parse(&["--replay", "no-such-folder"]).unwrap().options();
        assert!(missing.is_err_and(|error| error.to_string().contains("no-such-folder")));
    }

    #[test]
    fn it_says_how_to_reach_it() {
        let args = parse(&["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"]).unwrap();
        let emulator = Emulator::start(args.options().unwrap()).unwrap();
        let text = args.welcome(&emulator);
        assert!(text.contains(&format!(
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME={}",
            emulator.endpoint_url()
        )));
        assert!(text.contains(&emulator.tls_endpoint_url().unwrap()));
    }
}
