#![allow(unsafe_code)]
//! Building the ring, finding out whether it works, and registering the buffers.
//!
//! Invariant behind the `unsafe` block: the registered ranges are the pool's mappings. The kernel
//! holds its own references to their pages, so the registration may outlive the mappings.

use std::io::{self, IoSliceMut};

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;

use super::super::pool::BufferPool;

/// A working ring, or in words why there is none.
pub(super) fn build(entries: usize) -> Result<IoUring, String> {
    let entries = u32::try_from(entries).map_err(|error| error.to_string())?;
    let mut ring = IoUring::new(entries).map_err(|error| explain("io_uring_setup", &error))?;
    let parameters = ring.params();
    if !parameters.is_feature_nodrop() || !parameters.is_feature_ext_arg() {
        return Err("the kernel's io_uring is too old (Linux 5.11 or later is needed)".to_owned());
    }
    let mut probe = Probe::new();
    let submitter = ring.submitter();
    submitter.register_probe(&mut probe).map_err(|e| explain("io_uring_register", &e))?;
    if !probe.is_supported(opcode::Read::CODE) || !probe.is_supported(opcode::ReadFixed::CODE) {
        return Err("the kernel's io_uring has no read operation".to_owned());
    }
    try_empty_operation(&mut ring)?;
    Ok(ring)
}

/// A sandbox may allow the set-up and forbid the use.
fn try_empty_operation(ring: &mut IoUring) -> Result<(), String> {
    let nop = opcode::Nop::new().build();
    // SAFETY: the operation refers to no memory and no descriptor.
    unsafe { ring.submission().push(&nop) }.map_err(|error| error.to_string())?;
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(explain("io_uring_enter", &error)),
            Ok(_) => break,
        }
    }
    match ring.completion().next().map(|entry| entry.result()) {
        Some(0) => Ok(()),
        answer => Err(format!("an empty io_uring operation answered {answer:?}")),
    }
}

/// Pins the pool's buffers once, instead of at every read.
///
/// # Errors
/// In words; the ring then works without.
pub(super) fn register_buffers(ring: &IoUring, pool: &BufferPool) -> Result<(), String> {
    pool.with_all(|buffers: &[IoSliceMut<'_>]| {
        // `IoSliceMut` has by its documentation the layout of the `iovec` wanted here.
        // SAFETY: the slices are the pool's mappings (head comment).
        let registered = unsafe {
            let table = std::slice::from_raw_parts(buffers.as_ptr().cast(), buffers.len());
            ring.submitter().register_buffers(table)
        };
        registered.map_err(|error| explain("registering buffers", &error))
    })
}

fn explain(step: &str, error: &io::Error) -> String {
    let hint = match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => {
            " (forbidden by a sandbox or by the sysctl kernel.io_uring_disabled)"
        }
        Some(Errno::NOSYS) => " (the kernel has no io_uring, or a sandbox hides it)",
        Some(Errno::NOMEM) => " (the limit on locked memory, `ulimit -l`, is too low)",
        Some(Errno::MFILE | Errno::NFILE) => " (too many open files, `ulimit -n`)",
        _ => "",
    };
    format!("{step}: {error}{hint}")
}
