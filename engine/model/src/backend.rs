//! What executes plans. A back end sees placements, plans, layouts and step inputs; never the
//! model, files or text.

use std::sync::Arc;

use crate::buffer::BufferId;
use crate::kv::KvLayout;
use crate::placement::{ChunkId, Placement};
use crate::plan::Plan;
use crate::step::{StepError, StepInputs, StepResult};

/// What a back end can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Caps {
    /// Back end and device, for people.
    pub name: String,
    /// Largest chunk of weights in bytes; `placement::place` takes it.
    pub max_binding: u64,
    /// Bytes that weights and caches may take in all.
    pub memory_bytes: u64,
    /// Whether experts should lie gate, up, down of one expert together.
    pub expert_major: bool,
}

/// A prepared plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgramId(pub u32);

/// A pool of pages and lane tails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolId(pub u32);

/// A step in flight. Tickets are given and finish in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// The value of one buffer after a step: \[rows\]\[width\], f32, or u32 ids in the bits of f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Which buffer.
    pub buffer: BufferId,
    /// Its rows, one after the other.
    pub data: Vec<f32>,
}

/// Why a back end could not do something.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Inputs do not fit the program or the pool.
    #[error(transparent)]
    Input(#[from] StepError),
    /// The cancel token of the step was set. The lanes of the step must be reset or restored before
    /// they go on.
    #[error("the step was cancelled")]
    Cancelled,
    /// Not enough memory.
    #[error("{what} needs {needed} bytes, {available} are left on {device}")]
    Memory {
        /// what was to be made
        what: String,
        /// bytes asked for
        needed: u64,
        /// bytes left
        available: u64,
        /// which device
        device: String,
    },
    /// Bytes of another size than the layout's.
    #[error("{what}: {found} bytes, the layout has {expected}")]
    Size {
        /// page, tail or chunk
        what: String,
        /// bytes given
        found: u64,
        /// bytes expected
        expected: u64,
    },
    /// A plan uses a weight that was not uploaded.
    #[error("plan step {step} needs weight {weight}, which is not on the device")]
    NoWeight {
        /// step of the plan
        step: String,
        /// the weight
        weight: String,
    },
    /// An id of another back end, or used after its time.
    #[error("no such {0}")]
    Unknown(&'static str),
    /// The device stopped working.
    #[error(
        "the device failed: {0}; restart ds4, or choose another one with --backend or --device"
    )]
    Device(String),
}

/// Executes plans. Object-safe; one engine thread owns it.
///
/// Steps run in the order of `submit`; two may be in flight. Everything that touches a pool waits
/// for the steps submitted before it. The bits of a lane depend on its own tokens and positions
/// only (design 4a).
pub trait Backend: Send {
    /// What it can do.
    fn caps(&self) -> &Caps;

    /// Makes room for the weights; replaces earlier ones.
    fn allocate(&mut self, placement: Arc<Placement>) -> Result<(), BackendError>;

    /// Copies device-layout bytes into a chunk of the placement. Any order, each byte once.
    fn upload(&mut self, chunk: ChunkId, offset: u64, bytes: &[u8]) -> Result<(), BackendError>;

    /// Chooses kernels and memory for a plan.
    fn prepare(&mut self, plan: Arc<Plan>) -> Result<ProgramId, BackendError>;

    /// Makes a pool of `pages` pages and `lanes` empty lanes.
    fn new_pool(
        &mut self,
        layout: Arc<KvLayout>,
        pages: usize,
        lanes: usize,
    ) -> Result<PoolId, BackendError>;

    /// Frees a pool.
    fn drop_pool(&mut self, pool: PoolId) -> Result<(), BackendError>;

    /// Starts a step and returns at once. `keep`: buffers of the plan whose values are wanted in
    /// the result.
    fn submit(
        &mut self,
        program: ProgramId,
        pool: PoolId,
        inputs: StepInputs,
        keep: &[BufferId],
    ) -> Result<Ticket, BackendError>;

    /// The result of a step if it has ended; each is given once.
    fn poll(&mut self, ticket: Ticket) -> Result<Option<StepResult>, BackendError>;

    /// Waits for a step.
    fn wait(&mut self, ticket: Ticket) -> Result<StepResult, BackendError>;

    /// The bytes of one page: its layers in order, each `PageLayout::bytes`.
    fn read_page(&mut self, pool: PoolId, page: u32) -> Result<Vec<u8>, BackendError>;

    /// Fills one page.
    fn write_page(&mut self, pool: PoolId, page: u32, bytes: &[u8]) -> Result<(), BackendError>;

    /// The tail of a lane of `length` tokens as a record: for each layer the live raw rows, oldest
    /// first, plane by plane of a row, then the live compressor sums as little-endian f32
    /// (`KvLayout::tail_record_bytes`).
    fn read_tail(
        &mut self,
        pool: PoolId,
        lane: u32,
        length: usize,
    ) -> Result<Vec<u8>, BackendError>;

    /// Makes a lane one of `length` tokens from such a record.
    fn write_tail(
        &mut self,
        pool: PoolId,
        lane: u32,
        length: usize,
        bytes: &[u8],
    ) -> Result<(), BackendError>;
}
