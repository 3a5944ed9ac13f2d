//! Looks up inference profiles, and when models reach their end of life, at intervals (discovery).
//! Calls do not wait for the lookups.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    aws::ModelIdKind,
    bedrock::{ControlPlane, InferenceProfile},
    error::{Failure, Reason},
    grpc::Generations,
    routing::AccountRegion,
};

/// The minimum time between two lookups of new routes. A new route is looked up immediately, but
/// callers can name many new routes.
const PAUSE: Duration = Duration::from_secs(1);

/// What is unknown without the profiles of a place.
const UNKNOWN: &str =
    "destination Regions of inference profiles are unknown, and calls are routed without them";

/// Looks up the profiles of the router's routes, forever. Pauses while discovery is off in the
/// current configuration.
pub(super) async fn run(control: ControlPlane, generations: Generations) {
    let mut discovery = Discovery {
        control,
        generations,
        asked: HashSet::new(),
        listed: HashSet::new(),
        told: HashSet::new(),
    };
    loop {
        let Some(settings) = discovery.settings() else {
            discovery.is_notified().await;
            continue;
        };
        // Each round repeats all lookups, because those that failed in the last round may succeed
        // now.
        discovery.asked.clear();
        discovery.listed.clear();
        discovery.all().await;
        let until = Instant::now() + settings.refresh;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => break,
                () = discovery.is_notified() => {}
            }
            if discovery.settings() != Some(settings) {
                discovery.told.clear();
                break;
            }
            discovery.unknown().await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The inputs of a round of lookups. If they change, another round begins at once.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Settings {
    /// The interval between two rounds.
    refresh: Duration,
    /// How often the connections to AWS have changed.
    connections: u64,
}

struct Discovery {
    control: ControlPlane,
    generations: Generations,
    /// The Regions of accounts that were listed, and the profiles that were looked up, in this
    /// round.
    asked: HashSet<(AccountRegion, Option<String>, String)>,
    /// The source Regions whose foundation models were listed in this round.
    listed: HashSet<String>,
    /// The failures that were logged, with the project that was named. Each is logged only once.
    told: HashSet<(AccountRegion, Option<String>, &'static str, Reason)>,
}

impl Discovery {
    /// Returns the inputs of lookups. `None` if discovery is off in the current configuration.
    fn settings(&self) -> Option<Settings> {
        let generation = self.generations.current();
        let discovery = &generation.discovery;
        discovery.enabled.then(|| Settings {
            refresh: discovery.refresh,
            connections: generation.sdk.connections_version(),
        })
    }

    /// Waits until there is a new route or another configuration. The notification belongs to the
    /// process, so no generation is held while the task waits.
    async fn is_notified(&self) {
        let found = self.generations.current().router.unknown_route();
        found.await;
    }

    /// Lists the foundation models of every Region, and the profiles of every Region of an account
    /// that routes use. Looks up every profile that is in no list.
    async fn all(&mut self) {
        let router = self.generations.current().router.clone();
        let routes = router.routes();
        let mut places: BTreeSet<AccountRegion> =
            routes.iter().map(|route| route.account_region()).collect();
        places.extend(router.default_account_region());
        for place in places {
            self.list(&place).await;
            self.list_models(&place).await;
        }
        drop((router, routes));
        self.unknown().await;
    }

    /// Looks up the routes whose profiles are unknown.
    async fn unknown(&mut self) {
        let routes = self.generations.current().router.routes();
        for route in routes {
            let is_profile = matches!(
                route.kind,
                ModelIdKind::SystemInferenceProfile | ModelIdKind::ApplicationInferenceProfile
            );
            if route.profile().is_some() || !is_profile {
                continue;
            }
            let place = route.account_region();
            self.list(&place).await;
            if route.profile().is_none() {
                self.get(&place, &route.model_id).await;
            }
            // A profile that is in no list is unknown, not absent: calls are still routed to it.
        }
    }

    /// Returns the client with the accounts of the current configuration.
    fn control(&self) -> ControlPlane {
        self.control.of(&self.generations.current().sdk)
    }

    /// Returns the projects with which profiles are looked up. The default project is first.
    fn projects(&self, place: &AccountRegion) -> Vec<Option<String>> {
        let projects = self.generations.current().router.projects(place);
        let projects = projects.into_iter().map(Some);
        std::iter::once(None).chain(projects).collect()
    }

    /// Lists the profiles of a place, for each project.
    async fn list(&mut self, place: &AccountRegion) {
        for project in self.projects(place) {
            let asked = (place.clone(), project.clone(), String::new());
            if !self.asked.insert(asked) {
                continue;
            }
            let (account, region) = (&place.account, &place.source_region);
            let control = self.control();
            let listed = control.list_inference_profiles(account, region, project.as_deref());
            match listed.await {
                Ok(profiles) => self.learn(place, project.as_deref(), profiles),
                Err(failure) => {
                    let action = "bedrock:ListInferenceProfiles";
                    self.complain(place, project, action, UNKNOWN, &failure);
                }
            }
        }
    }

    /// Lists the foundation models of a Region for each project, unless another account has already
    /// listed them: they are the same for all accounts, except for those of projects.
    async fn list_models(&mut self, place: &AccountRegion) {
        let region = &place.source_region;
        if self.listed.contains(region) {
            return;
        }
        let mut all = Vec::new();
        for project in self.projects(place) {
            let control = self.control();
            let listed = control.list_foundation_models(&place.account, region, project.as_deref());
            match listed.await {
                Ok(models) => {
                    self.listed.insert(region.clone());
                    all.extend(models);
                }
                Err(failure) => {
                    let unknown = "it is unknown when models reach their end of life";
                    let action = "bedrock:ListFoundationModels";
                    self.complain(place, project, action, unknown, &failure);
                }
            }
        }
        if self.listed.contains(region) {
            self.generations.current().router.learn_models(region, all);
        }
    }

    fn learn(&self, place: &AccountRegion, project: Option<&str>, found: Vec<InferenceProfile>) {
        let router = &self.generations.current().router;
        match project {
            None => router.learn(place, found),
            Some(_) => router.learn_of_project(place, found),
        }
    }

    async fn get(&mut self, place: &AccountRegion, id: &str) {
        let mut projects = self.projects(place);
        if ModelIdKind::of(id) == ModelIdKind::ApplicationInferenceProfile {
            projects.truncate(1);
        }
        let mut last = None;
        for project in projects {
            let asked = (place.clone(), project.clone(), id.to_owned());
            if !self.asked.insert(asked) {
                continue;
            }
            let (account, region) = (&place.account, &place.source_region);
            let control = self.control();
            let found = control.get_inference_profile(account, region, id, project.as_deref());
            match found.await {
                Ok(profile) => return self.learn(place, project.as_deref(), vec![profile]),
                Err(failure) => last = Some((project, failure)),
            }
        }
        if let Some((project, failure)) = last {
            let action = "bedrock:GetInferenceProfile";
            self.complain(place, project, action, UNKNOWN, &failure);
        }
    }

    /// Logs a failed lookup. `unknown` names the information that is missing because of the
    /// failure.
    fn complain(
        &mut self,
        place: &AccountRegion,
        project: Option<String>,
        action: &'static str,
        unknown: &str,
        failure: &Failure,
    ) {
        let shown = project.clone().unwrap_or_default();
        let told = (place.clone(), project, action, failure.reason);
        if !self.told.insert(told) {
            return;
        }
        let hint = match failure.reason {
            Reason::UpstreamAccessDenied | Reason::UpstreamCredentials => {
                "allow the action, or set discovery.enabled to false"
            }
            _ => "discovery retries it",
        };
        tracing::warn!(
            region = place.source_region,
            account = %place.account,
            project = shown,
            action,
            %failure,
            detail = %failure.detail,
            "{unknown}: {hint}"
        );
    }
}
