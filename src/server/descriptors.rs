//! The number of connections that the process' limit of open files leaves room for.

use std::fs;

/// Open files that are no connections of the webhook: those of the admin port, of the API server's client,
/// the audit file, certificates that are read again.
const RESERVED: usize = 64;

/// The divisor of the smallest share for connections: a process that may open few files may still use one
/// in this many of them for connections.
const LEAST_PART: usize = 4;

/// The largest possible number of connections; `None` if the limit of open files is absent or unknown.
pub(super) fn max_connections() -> Option<usize> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    Some(for_connections(open_files(&text)?))
}

/// The soft limit of open files, from the kernel's table of limits.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn for_connections(open_files: usize) -> usize {
    open_files.saturating_sub(RESERVED).max(open_files / LEAST_PART).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units
Max processes             unlimited            unlimited            processes
Max open files            200                  524288               files
Max locked memory         8388608              8388608              bytes
";

    #[test]
    fn the_limit_of_open_files_is_in_the_kernels_table() {
        assert_eq!(open_files(LIMITS), Some(200));
        assert_eq!(open_files(&LIMITS.replace("200 ", "unlimited ")), None);
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn connections_leave_files_for_the_rest() {
        for (open_files, connections) in [(1024, 960), (200, 136), (80, 20), (4, 1), (0, 1)] {
            assert_eq!(for_connections(open_files), connections, "{open_files}");
        }
    }
}
