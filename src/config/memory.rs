//! Determines how much memory this process may use: the limit of its control group (cgroup v1 and
//! v2), or the machine's memory.

use std::{fs, path::Path};

/// The share of the available memory that requests may take, as a divisor: 2 means half.
const SHARE: usize = 2;
/// The memory in bytes that is assumed if it cannot be determined, as on systems other than Linux.
const UNKNOWN: usize = 1 << 30;

/// Returns the default of `limits.memory`, in bytes: half of the memory that this process may use.
pub fn default_budget() -> usize {
    available(Path::new("/")).unwrap_or(UNKNOWN) / SHARE
}

/// Returns the lowest of the limits of this process's control group and its parent groups, and the
/// memory of the machine.
fn available(root: &Path) -> Option<usize> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        // The format is `hierarchy:controllers:path`. In version 2, the first number is 0 and
        // `controllers` is empty.
        let mut parts = line.splitn(3, ':');
        let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        if controllers.is_empty() {
            limit(&root.join("sys/fs/cgroup"), group, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            limit(
                &root.join("sys/fs/cgroup/memory"),
                group,
                "memory.limit_in_bytes",
            )
        } else {
            None
        }
    });
    limits.chain(machine(root)).min()
}

/// Returns the lowest limit of a group and its parents. In a container, `group` may be a path on
/// the host, of which only the last part is mounted in the container.
fn limit(mount: &Path, group: &str, file: &str) -> Option<usize> {
    let mut least = None;
    let mut group = group.trim_matches('/');
    loop {
        let limit = fs::read_to_string(mount.join(group).join(file))
            .ok()
            .and_then(|text| text.trim().parse::<usize>().ok());
        least = least.into_iter().chain(limit).min();
        if group.is_empty() {
            return least;
        }
        group = group.rsplit_once('/').map_or("", |(above, _)| above);
    }
}

fn machine(root: &Path) -> Option<usize> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1 << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine_with(files: &[(&str, &str)]) -> Option<usize> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        available(root.path())
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       16384000 kB\nMemFree: 1 kB\n",
    );
    const MACHINE: usize = 16_384_000 << 10;

    #[test]
    fn version_2() {
        let limit = |group, limits: &[(&str, &str)]| {
            let mut files = vec![MEMINFO, ("proc/self/cgroup", group)];
            files.extend(limits);
            machine_with(&files)
        };
        let own = ("sys/fs/cgroup/memory.max", "536870912\n");
        // The path in a container with its own cgroup namespace.
        assert_eq!(limit("0::/\n", &[own]), Some(512 << 20));
        // The path on the host. In the container, only its last part is mounted.
        let host = "0::/kubepods.slice/pod1.slice/cri-1.scope\n";
        assert_eq!(limit(host, &[own]), Some(512 << 20));
        let above = ("sys/fs/cgroup/a/memory.max", "1000000\n");
        let unlimited = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(limit("0::/a/b\n", &[above, unlimited]), Some(1_000_000));
        assert_eq!(limit("0::/a/b\n", &[unlimited]), Some(MACHINE));
    }

    #[test]
    fn version_1() {
        let group = (
            "proc/self/cgroup",
            "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n",
        );
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
        assert_eq!(machine_with(&[MEMINFO, group, limit]), Some(256 << 20));
        // The value that version 1 writes if there is no limit.
        let none = (
            "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(machine_with(&[MEMINFO, group, none]), Some(MACHINE));
    }

    #[test]
    fn nothing_is_known() {
        assert_eq!(machine_with(&[]), None);
        assert_eq!(machine_with(&[MEMINFO]), Some(MACHINE));
        assert!(default_budget() > 0);
    }
}
