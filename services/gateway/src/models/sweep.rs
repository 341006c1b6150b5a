//! Now and then deletes files that no version names. Every gateway does; doing it twice changes nothing.

use lepton_core::random::Random;
use lepton_core::shutdown::Shutdown;
use lepton_models::Models;
use std::time::Duration;

use crate::tasks::payloads::Payloads;

/// Sweeps until the gateway leaves.
pub async fn keep(models: Models, store: Payloads, random: Random, interval: Duration, shutdown: Shutdown) {
    loop {
        // At random, so that gateways that started together do not list the same files together.
        let half = interval / 2;
        let pause = half + Duration::from_micros(random.below(u64::try_from(interval.as_micros()).unwrap_or(u64::MAX)));
        tokio::select! {
            () = shutdown.triggered() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let swept = match store.store() {
            Ok(blobs) => models.sweep(&blobs).await,
            Err(error) => Err(error),
        };
        match swept {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "deleted files that no version of a model names"),
            Err(error) => tracing::warn!(%error, "files of models were not swept"),
        }
    }
}
