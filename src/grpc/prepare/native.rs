//! Prepares calls with bodies in the models' own formats.

use std::sync::Arc;

use super::{Method, Preparation, Ready, cancelled};
use crate::{
    access::limits::UsedUnits,
    aws::{Billed, NativeFormat, Sampling},
    bedrock::RequestBody,
    bounds::{Share, Stop},
    error::Failure,
    grpc::{
        defaults,
        enforce::{Enforced, NamedProject, NativeModels},
        estimate::{self, Estimate, estimate_native},
        native_bodies,
        receive::held,
    },
    pb::InvokeModelRequest,
    routing::{RouteCandidate, Target},
    stream::{Ceiling, NativeAnswers},
};

impl Preparation {
    /// Prepares a call of InvokeModel or StreamInvokeModel.
    pub(super) fn ready_to_invoke_model(
        &self,
        request: InvokeModelRequest,
        target: Arc<Target>,
        mut candidates: Vec<RouteCandidate>,
        memory: Arc<Share>,
        stop: &Stop,
    ) -> Result<Ready, Failure> {
        candidates.retain(|known| known.invoke_model);
        if candidates.is_empty() {
            return Err(native_bodies::off(&target));
        }
        let accounts = &self.generation.accounts;
        let scopes = accounts.scopes(self.caller.as_ref(), &target.name);
        let policy = estimate::policy(accounts, &scopes, self.policy(&target));
        let policy = policy.as_ref();
        let named = NamedProject {
            field: "project_identifier",
            identifier: request.project_identifier.clone(),
        };
        let projects = named.select(policy, &target, &mut candidates)?;
        let Some(first) = candidates.first() else {
            return Err(native_bodies::off(&target));
        };
        let kind = first.route.kind;
        let format = native_bodies::common_format(&candidates);
        let is_priced_by_image = format.map(NativeFormat::billed) == Some(Billed::Images)
            && estimate::have_price_of_images(accounts, &candidates);
        let mut settings = native_bodies::settings(&request);
        let defaults = self.defaults(&target);
        defaults::apply(&defaults, policy, kind, Sampling::Neither, &mut settings);
        let enforced = Enforced {
            policy,
            attribution: self.attribution(&target),
            kind,
        };
        enforced.apply_to_settings(&mut settings)?;
        let models = NativeModels {
            format,
            model_id: &first.route.model_id,
            target: &target.name,
            one_result: scopes.counts_money() && !is_priced_by_image,
        };
        let body = enforced.apply_to_body(&models, &request.body, stop)?;
        if stop.is_set() {
            return Err(cancelled());
        }
        let billing = estimate::billing(&settings);
        let is_streamed = self.method == Method::StreamInvokeModel;
        // For a stream, the bytes that are read limit the output, so no maximum is needed.
        let unknown = if is_streamed { u64::MAX } else { 0 };
        let units = body.units.units(accounts.estimates().rerank_document);
        let is_billed_by_tokens = format.is_none_or(|format| format.billed() == Billed::Tokens);
        let most = Ceiling {
            input: if is_billed_by_tokens {
                let media = body.units.media.tokens(accounts.estimates());
                media.saturating_add(body.json.len() as u64)
            } else {
                0
            },
            output: body.max_tokens.unwrap_or(unknown),
            is_streamed,
            units: UsedUnits::Model(units),
        };
        let Estimate { amounts, ceiling } = estimate_native(
            accounts,
            &scopes,
            &candidates,
            most,
            billing,
            body.units.has_timed_media(),
        )?;
        let native = NativeAnswers {
            format,
            have_end: native_bodies::all_write_text(&candidates),
        };
        let body = body.json.into_owned().into_bytes();
        Ok(Ready {
            candidates,
            projects,
            scopes,
            amounts,
            ceiling: Some(ceiling),
            billing,
            body: RequestBody::hashed(held(body, memory)?, || stop.is_set()),
            heartbeat: None,
            coalesce: None,
            inference: None,
            options: native_bodies::options(request.accept, &settings),
            guardrail: settings.guardrail_config,
            native,
            target,
        })
    }
}
