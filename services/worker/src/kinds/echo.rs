//! Kind `echo`: returns its input. For trying the mesh out, and for tests and benches of it.
//!
//! Promises: whether an attempt fails depends on its input, its task and its number alone, so a run can be repeated.
//! Options, inside an input that is an object: `delay_ms`, its duration; `fail_rate`, the share of attempts that fail, 0
//! to 1; `fail_times`, the number of attempts that fail before one succeeds; `checkpoint`, true to keep the time that has
//! passed of a delay as a checkpoint, so that an attempt that follows waits for the rest only.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use lepton_core::random::Random;
use lepton_domain::ids::AttemptId;
use lepton_domain::reason::Reason;
use lepton_domain::task::{Content, Encoding, Payload};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::kind::{Failure, Input, Kind, Output};

#[cfg(test)]
mod tests;

/// Longest delay, a day.
const DELAY_MS_MAX: f64 = 24.0 * 60.0 * 60.0 * 1_000.0;

/// Interval of checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Echo;

impl Kind for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn run(&self, input: Input, _cancel: CancellationToken) -> BoxFuture<'static, Result<Output, Failure>> {
        // Nothing runs that would have to be stopped: the future is dropped.
        echo(input).boxed()
    }
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct EchoOptions {
    delay_ms: Option<f64>,
    fail_rate: Option<f64>,
    fail_times: Option<u32>,
    checkpoint: bool,
}

/// Checkpoint of a delay.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct EchoCheckpoint {
    /// Milliseconds that have passed, over all attempts.
    elapsed_ms: u64,
}

async fn echo(mut input: Input) -> Result<Output, Failure> {
    let options = EchoOptions::decode(&input)?;
    match options.checkpoint {
        true => delay_with_checkpoints(options.delay(), &mut input).await,
        false => tokio::time::sleep(options.delay()).await,
    }
    options.fail_if_due(input.attempt)?;
    Ok(Output {
        encoding: input.encoding,
        content: input.content,
    })
}

/// Waits for what the attempts before have left of a delay.
async fn delay_with_checkpoints(delay: Duration, input: &mut Input) {
    let resumed = EchoCheckpoint::decode(input.checkpoint.as_ref());
    let mut elapsed = Duration::from_millis(resumed.elapsed_ms);
    while let Some(left) = delay.checked_sub(elapsed).filter(|left| !left.is_zero()) {
        let step = left.min(CHECKPOINT_EVERY);
        tokio::time::sleep(step).await;
        elapsed += step;
        let kept = EchoCheckpoint {
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        };
        let fraction = elapsed.as_secs_f64() / delay.as_secs_f64();
        input.progress.checkpoint(fraction, kept.encode());
    }
}

impl EchoCheckpoint {
    /// Decodes a checkpoint; one that cannot be read, as of another version, counts as none.
    fn decode(checkpoint: Option<&Payload>) -> Self {
        match checkpoint.map(|payload| &payload.content) {
            Some(Content::Inline(bytes)) => serde_json::from_slice(bytes).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    fn encode(self) -> Bytes {
        serde_json::to_vec(&self)
            .expect("a number always has a JSON form")
            .into()
    }
}

impl EchoOptions {
    fn decode(input: &Input) -> Result<Self, Failure> {
        let object = input.content.trim_ascii_start().first() == Some(&b'{');
        if input.encoding != Encoding::Json || !object {
            return Ok(Self::default());
        }
        let options: Self = serde_json::from_slice(&input.content)
            .map_err(|error| invalid(format!("the options of echo cannot be read: {error}")))?;
        options.checked()
    }

    fn checked(self) -> Result<Self, Failure> {
        if let Some(delay) = self.delay_ms
            && !(0.0..=DELAY_MS_MAX).contains(&delay)
        {
            return Err(invalid(format!("delay_ms is {delay}; it takes 0 to {DELAY_MS_MAX}")));
        }
        if let Some(rate) = self.fail_rate
            && !(0.0..=1.0).contains(&rate)
        {
            return Err(invalid(format!("fail_rate is {rate}; it takes 0 to 1")));
        }
        Ok(self)
    }

    fn delay(&self) -> Duration {
        Duration::from_secs_f64(self.delay_ms.unwrap_or(0.0) / 1_000.0)
    }

    fn fail_if_due(&self, attempt: AttemptId) -> Result<(), Failure> {
        let times = self.fail_times.unwrap_or(0);
        if attempt.number <= times {
            let message = format!("attempt {} fails, as fail_times = {times} asks for", attempt.number);
            return Err(Failure::retryable(Reason::HandlerFailed, message));
        }
        let rate = self.fail_rate.unwrap_or(0.0);
        if share(attempt) < rate {
            let message = format!("attempt {} fails, as fail_rate = {rate} asks for", attempt.number);
            return Err(Failure::retryable(Reason::HandlerFailed, message));
        }
        Ok(())
    }
}

/// A pseudo-random number from 0 up to 1, always the same for an attempt.
fn share(attempt: AttemptId) -> f64 {
    let task = attempt.task.as_u128();
    let seed = (task as u64) ^ ((task >> 64) as u64).rotate_left(32) ^ (u64::from(attempt.number) << 48);
    // The upper 53 bits, which are all that a double has room for.
    (Random::seeded(seed).next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

fn invalid(message: String) -> Failure {
    Failure::permanent(Reason::FieldInvalid, message)
}
