//! Looks up inference profiles in intervals. Calls do not wait for it.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    aws::Kind,
    bedrock::ControlPlane,
    error::{Failure, Reason},
    routing::Router,
};

/// A new route is looked up immediately, but never more often than this, because callers can name
/// many.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks up what the router should know, forever.
pub(super) async fn run(control: ControlPlane, router: Router, refresh: Duration) {
    let mut discovery = Discovery {
        control,
        router,
        asked: HashSet::new(),
        told: HashSet::new(),
    };
    loop {
        // What failed in the last round may succeed now.
        discovery.asked.clear();
        discovery.all().await;
        let until = Instant::now() + refresh;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                () = discovery.router.has_unknown_route() => {}
            }
            discovery.unknown().await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

struct Discovery {
    control: ControlPlane,
    router: Router,
    /// Regions that were listed, and profiles that were looked up, in this round.
    asked: HashSet<(String, String)>,
    /// Failures that were logged: once is enough.
    told: HashSet<(String, Reason)>,
}

impl Discovery {
    /// Every Region that is called, and every profile that is in no list.
    async fn all(&mut self) {
        let mut regions: BTreeSet<String> = self
            .router
            .routes()
            .iter()
            .map(|route| route.source_region.clone())
            .collect();
        regions.extend(self.router.default_region().map(str::to_owned));
        for region in regions {
            self.list(&region).await;
        }
        self.unknown().await;
    }

    /// Routes of which nothing is known.
    async fn unknown(&mut self) {
        for route in self.router.routes() {
            let is_profile = matches!(
                route.kind,
                Kind::SystemInferenceProfile | Kind::ApplicationInferenceProfile
            );
            if route.profile().is_some() || !is_profile {
                continue;
            }
            self.list(&route.source_region).await;
            if route.profile().is_none() {
                self.get(&route.source_region, &route.model_id).await;
            }
        }
    }

    async fn list(&mut self, region: &str) {
        if !self.asked.insert((region.to_owned(), String::new())) {
            return;
        }
        match self.control.list_inference_profiles(region).await {
            Ok(profiles) => self.router.learn(region, profiles),
            Err(failure) => self.complain(region, "bedrock:ListInferenceProfiles", &failure),
        }
    }

    async fn get(&mut self, region: &str, id: &str) {
        if !self.asked.insert((region.to_owned(), id.to_owned())) {
            return;
        }
        match self.control.get_inference_profile(region, id).await {
            Ok(profile) => self.router.learn(region, vec![profile]),
            Err(failure) => self.complain(region, "bedrock:GetInferenceProfile", &failure),
        }
    }

    fn complain(&mut self, region: &str, action: &str, failure: &Failure) {
        if !self.told.insert((region.to_owned(), failure.reason)) {
            return;
        }
        let hint = match failure.reason {
            Reason::UpstreamAccessDenied | Reason::UpstreamCredentials => {
                "allow the action, or set discovery.enabled to false"
            }
            _ => "discovery retries it",
        };
        tracing::warn!(
            region,
            action,
            %failure,
            detail = %failure.detail,
            "destination Regions of inference profiles are unknown; calls are routed without them: {hint}"
        );
    }
}
