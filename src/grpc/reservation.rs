//! Reserves what a call may use from the limits of its caller, before Bedrock is called.

use super::{context::CallContext, prepare::Ready};
use crate::{
    error::Failure,
    stream::{Bill, CallReport},
};

/// Reserves the maximum usage of the call from its limits.
pub(super) async fn reserve(
    report: &mut CallReport,
    ready: &Ready,
    context: &CallContext,
) -> Result<(), Failure> {
    let accounts = &context.generation.accounts;
    let has_prices = !accounts.prices().is_empty() || accounts.guardrail_prices().is_some();
    let is_counted = !ready.scopes.is_empty() || has_prices;
    if !is_counted && context.record.is_none() {
        return Ok(());
    }
    let charge = accounts
        .reserve(ready.scopes.clone(), ready.amounts)
        .await
        .map_err(|refusal| refusal.failure())?;
    report.bill(Bill::new(
        accounts.clone(),
        charge,
        ready.billing,
        ready.ceiling,
    ));
    Ok(())
}
