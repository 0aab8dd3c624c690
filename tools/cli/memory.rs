//! How much memory a run may take.

use std::path::Path;

/// Memory that can be used without pushing others out, in bytes; `None` where the system does not
/// say.
///
/// Linux: what the kernel calls available, and what the control group of the process leaves
/// (containers). macOS: all of it, as the system gives memory of others back under pressure.
pub fn available() -> Option<u64> {
    let machine = if cfg!(target_os = "macos") { physical() } else { meminfo("MemAvailable:") };
    match (machine, group_left(Path::new("/sys/fs/cgroup"))) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (machine, group) => machine.or(group),
    }
}

fn meminfo(field: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Asks `sysctl`, which every macOS has.
fn physical() -> Option<u64> {
    let output =
        std::process::Command::new("/usr/sbin/sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// What a control group (version 2) has left; `None` without a limit.
fn group_left(group: &Path) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    // Cached files count as used but can be dropped.
    let statistics = read("memory.stat").unwrap_or_default();
    let cached = statistics.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cached: u64 = cached.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::group_left;

    #[test]
    fn a_container_has_its_own_limit() {
        let group = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(group.path().join(name), text).unwrap();
        assert_eq!(group_left(group.path()), None);
        write("memory.max", "max\n");
        write("memory.current", "3000\n");
        assert_eq!(group_left(group.path()), None);
        write("memory.max", "10000\n");
        assert_eq!(group_left(group.path()), Some(7000));
        write("memory.stat", "anon 5\ninactive_file 1000\n");
        assert_eq!(group_left(group.path()), Some(8000));
    }
}
