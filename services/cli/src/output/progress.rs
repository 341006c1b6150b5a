//! Progress bars for long steps.
//!
//! Promises: on stderr, only where that is a terminal with a cursor to move, gone when the step is over; never a word in a log or a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::is_dumb;

/// Steps of a bar that shows a share.
const STEPS: u64 = 1_000;

/// A progress bar. Dropping it removes it from the terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// Counts to `total`.
    pub fn counting(what: &str, total: u64) -> Self {
        Self::new(
            what,
            total,
            "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {elapsed}",
        )
    }

    /// Shows a share of the work.
    pub fn share(what: &str) -> Self {
        Self::new(what, STEPS, "{msg} {wide_bar} {percent}% {elapsed}")
    }

    fn new(what: &str, total: u64, template: &str) -> Self {
        // Draws nothing where stderr is no terminal.
        let target = match is_dumb() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let style = ProgressStyle::with_template(template).expect("the templates of this file are valid");
        bar.set_style(style);
        bar.set_message(what.to_owned());
        Self { bar }
    }

    /// Counts one step.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// Shows the completed share, 0 to 1, with a message.
    pub fn at(&self, fraction: f64, word: String) {
        let position = (fraction.clamp(0.0, 1.0) * STEPS as f64).round() as u64;
        self.bar.set_position(position);
        self.bar.set_message(word);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
