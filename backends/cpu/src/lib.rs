//! The CPU back end: what each op means, in plain Rust, and a way to run without a GPU.
//!
//! Results are bitwise the same for one chunk, many chunks or single tokens, for any number of
//! lanes, threads and weight pieces, and on every machine: rows never meet in a reduction, and
//! every reduction has a fixed order (`math`).
//!
//! A worker thread owns weights, pools and programs; calls hand it jobs in order, so that `submit`
//! returns at once.

mod core;
mod frame;
mod math;
mod ops;
mod pool;
mod simd;
mod weights;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use ds4_model::backend::{Backend, BackendError, Caps, PoolId, ProgramId, Ticket};
use ds4_model::buffer::BufferId;
use ds4_model::kv::KvLayout;
use ds4_model::placement::{ChunkId, Placement};
use ds4_model::plan::Plan;
use ds4_model::step::{StepInputs, StepResult};

use crate::core::Core;
use crate::worker::Worker;

/// How the CPU back end is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads; 0 for one a core.
    pub threads: usize,
    /// Largest chunk of weights in bytes. Tests make it tiny; memory has no limit of its own.
    pub max_binding: u64,
    /// Bytes that weights and caches may take in all.
    pub memory_bytes: u64,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self { threads: 0, max_binding: u64::MAX, memory_bytes: u64::MAX }
    }
}

/// Executes plans on the CPU.
pub struct CpuBackend {
    caps: Caps,
    worker: Worker<Core>,
    next_ticket: u64,
    in_flight: BTreeMap<Ticket, Receiver<Result<StepResult, BackendError>>>,
}

impl CpuBackend {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the operating system gives no threads.
    pub fn new(options: &CpuOptions) -> Result<Self, BackendError> {
        let device = |error: &dyn std::fmt::Display| BackendError::Device(error.to_string());
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|i| format!("ds4-cpu-{i}"))
            .build()
            .map_err(|error| device(&error))?;
        let caps = Caps {
            name: format!("CPU, {} threads, {}", threads.current_num_threads(), simd::name()),
            max_binding: options.max_binding,
            memory_bytes: options.memory_bytes,
            expert_major: true,
        };
        let worker = Worker::start(threads, Core::default()).map_err(|error| device(&error))?;
        Ok(Self { caps, worker, next_ticket: 0, in_flight: BTreeMap::new() })
    }

    /// Runs a job on the worker and waits for it.
    fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Core) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        self.worker.post(job).recv().unwrap_or_else(|_| Err(stopped()))
    }
}

/// The worker is gone: a job panicked.
fn stopped() -> BackendError {
    BackendError::Device("the CPU worker stopped after an internal error".into())
}

impl Backend for CpuBackend {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn allocate(&mut self, placement: Arc<Placement>) -> Result<(), BackendError> {
        self.call(move |core| {
            core.allocate(placement);
            Ok(())
        })
    }

    fn upload(&mut self, chunk: ChunkId, offset: u64, bytes: &[u8]) -> Result<(), BackendError> {
        let bytes = bytes.to_vec();
        self.call(move |core| core.weights()?.upload(chunk, offset, &bytes))
    }

    fn prepare(&mut self, plan: Arc<Plan>) -> Result<ProgramId, BackendError> {
        self.call(move |core| core.prepare(plan))
    }

    fn new_pool(
        &mut self,
        layout: Arc<KvLayout>,
        pages: usize,
        lanes: usize,
    ) -> Result<PoolId, BackendError> {
        self.call(move |core| Ok(core.new_pool(layout, pages, lanes)))
    }

    fn drop_pool(&mut self, pool: PoolId) -> Result<(), BackendError> {
        self.call(move |core| core.drop_pool(pool))
    }

    fn submit(
        &mut self,
        program: ProgramId,
        pool: PoolId,
        inputs: StepInputs,
        keep: &[BufferId],
    ) -> Result<Ticket, BackendError> {
        let keep = keep.to_vec();
        let result = self.worker.post(move |core| core.step(program, pool, &inputs, &keep));
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.in_flight.insert(ticket, result);
        Ok(ticket)
    }

    fn poll(&mut self, ticket: Ticket) -> Result<Option<StepResult>, BackendError> {
        let result = self.in_flight.get(&ticket).ok_or(BackendError::Unknown("ticket"))?;
        let result = match result.try_recv() {
            Err(TryRecvError::Empty) => return Ok(None),
            Err(TryRecvError::Disconnected) => Err(stopped()),
            Ok(result) => result,
        };
        self.in_flight.remove(&ticket);
        result.map(Some)
    }

    fn wait(&mut self, ticket: Ticket) -> Result<StepResult, BackendError> {
        let result = self.in_flight.remove(&ticket).ok_or(BackendError::Unknown("ticket"))?;
        result.recv().unwrap_or_else(|_| Err(stopped()))
    }

    fn read_page(&mut self, pool: PoolId, page: u32) -> Result<Vec<u8>, BackendError> {
        self.call(move |core| core.pool(pool)?.read_page(page))
    }

    fn write_page(&mut self, pool: PoolId, page: u32, bytes: &[u8]) -> Result<(), BackendError> {
        let bytes = bytes.to_vec();
        self.call(move |core| core.pool(pool)?.write_page(page, &bytes))
    }

    fn read_tail(
        &mut self,
        pool: PoolId,
        lane: u32,
        length: usize,
    ) -> Result<Vec<u8>, BackendError> {
        self.call(move |core| core.pool(pool)?.read_tail(lane, length))
    }

    fn write_tail(
        &mut self,
        pool: PoolId,
        lane: u32,
        length: usize,
        bytes: &[u8],
    ) -> Result<(), BackendError> {
        let bytes = bytes.to_vec();
        self.call(move |core| core.pool(pool)?.write_tail(lane, length, &bytes))
    }
}
