//! Ctrl-C: the first one ends a generation in good order, a second one, or one at any other time,
//! ends the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use ds4_model::step::CancelToken;

use crate::limits::INTERRUPT_GRACE_MS;
use crate::terminal::{RESET, say, stdout_has_colour};

/// Exit code of an interrupted run: 128 + SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing that would need an orderly end.
    Idle,
    Running,
    Interrupted,
}

/// What the handler knows of the run.
pub struct Interrupt {
    cancel: CancelToken,
    stage: Mutex<Stage>,
    ended: Condvar,
    prompt_done: AtomicUsize,
    prompt_total: AtomicUsize,
    generated: AtomicUsize,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP.
    pub fn install() -> anyhow::Result<Arc<Self>> {
        let interrupt = Arc::new(Self {
            cancel: CancelToken::default(),
            stage: Mutex::new(Stage::Idle),
            ended: Condvar::new(),
            prompt_done: AtomicUsize::new(0),
            prompt_total: AtomicUsize::new(0),
            generated: AtomicUsize::new(0),
        });
        let shared = interrupt.clone();
        ctrlc::set_handler(move || shared.on_signal()).context("cannot handle Ctrl-C")?;
        Ok(interrupt)
    }

    /// What the steps of the run look at.
    pub fn token(&self) -> &CancelToken {
        &self.cancel
    }

    /// A run begins.
    pub fn begin(&self, prompt_total: usize) {
        self.prompt_total.store(prompt_total, Ordering::Relaxed);
        self.set(Stage::Running);
    }

    /// How far it is.
    pub fn progress(&self, prompt_done: usize, generated: usize) {
        self.prompt_done.store(prompt_done, Ordering::Relaxed);
        self.generated.store(generated, Ordering::Relaxed);
    }

    /// It has ended and reported.
    pub fn end(&self) {
        self.set(Stage::Idle);
    }

    fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.ended.notify_all();
    }

    /// Runs on a thread of its own, one signal after the other.
    fn on_signal(&self) {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Running {
            *stage = Stage::Interrupted;
            self.cancel.cancel();
            let grace = Duration::from_millis(INTERRUPT_GRACE_MS);
            let waited = self.ended.wait_timeout_while(stage, grace, |s| *s == Stage::Interrupted);
            let (stage, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            if !waited.timed_out() {
                return;
            }
            // A long segment, or a reader of standard output that does not read.
            drop(stage);
        }
        let colour = if stdout_has_colour() { RESET } else { "" };
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (done, total) = (load(&self.prompt_done), load(&self.prompt_total));
        say(&match load(&self.generated) {
            0 if total > 0 => {
                format!("{colour}\ninterrupted: {done} of {total} prompt tokens done")
            }
            0 => format!("{colour}\ninterrupted"),
            generated => format!("{colour}\ninterrupted after {generated} tokens"),
        });
        std::process::exit(i32::from(INTERRUPTED));
    }
}
