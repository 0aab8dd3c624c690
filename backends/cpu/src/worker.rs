//! A thread that owns a state and does jobs on it in order.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Jobs run inside the thread pool, so that parallel loops in them use its threads.
pub struct Worker<S> {
    jobs: Option<Sender<Job<S>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts the thread.
    pub fn start(threads: rayon::ThreadPool, mut state: S) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job<S>>();
        let run = move || {
            for job in inbox {
                threads.install(|| job(&mut state));
            }
        };
        let thread = std::thread::Builder::new().name("ds4-cpu".into()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues a job; its result arrives at the receiver, or the receiver hangs up if the job
    /// panicked.
    pub fn post<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (done, result) = mpsc::channel();
        let job: Job<S> = Box::new(move |state| {
            // Nobody may be waiting any more; that is no error.
            let _ = done.send(job(state));
        });
        if let Some(jobs) = &self.jobs {
            // A worker that is gone has dropped the inbox; the caller sees its receiver hang up.
            let _ = jobs.send(job);
        }
        result
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported through the receivers.
            let _ = thread.join();
        }
    }
}
