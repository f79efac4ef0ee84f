//! What a file system is good for, by its magic number: whether locks reach all who use it, and
//! whether a file keeps its number (F14, F15).

use rustix::fs::{Stat, statfs};
use std::path::Path;

/// What a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// On a disk of this machine; the number of a file is its own for good.
    Disk,
    /// Through a program of its own; the mount says which.
    Fuse,
    /// In memory: it is gone with the machine, or with the container.
    Memory,
    /// Other machines may use it as well, and locks and syncs may not mean what they say.
    Network(&'static str),
    /// Of this machine, as far as is known; files may get other numbers with the next mount.
    Other,
}

impl FileSystem {
    /// Whether a file has the same number for as long as it is there.
    pub(crate) fn keeps_inode_numbers(self) -> bool {
        match self {
            Self::Disk | Self::Memory => true,
            Self::Fuse | Self::Network(_) | Self::Other => false,
        }
    }

    /// Whether what lies there is there after the next boot.
    pub(crate) fn is_lasting(self) -> bool {
        self == Self::Disk
    }
}

/// The magic numbers of linux/magic.h and statfs(2).
const KNOWN: &[(u32, FileSystem)] = &[
    (0x0000_3434, FileSystem::Disk), // nilfs2
    (0x0000_EF53, FileSystem::Disk), // ext2, ext3, ext4
    (0x2FC1_2FC1, FileSystem::Disk), // zfs
    (0x3153_464A, FileSystem::Disk), // jfs
    (0x5265_4973, FileSystem::Disk), // reiserfs
    (0x5846_5342, FileSystem::Disk), // xfs
    (0x9123_683E, FileSystem::Disk), // btrfs
    (0xCA45_1A4E, FileSystem::Disk), // bcachefs
    (0xF2F5_2010, FileSystem::Disk), // f2fs
    (0x6573_5546, FileSystem::Fuse),
    (0x0102_1994, FileSystem::Memory), // tmpfs
    (0x8584_58F6, FileSystem::Memory), // ramfs
    (0x0000_517B, FileSystem::Network("SMB")),
    (0x0000_564C, FileSystem::Network("NCP")),
    (0x0000_6969, FileSystem::Network("NFS")),
    (0x00C3_6400, FileSystem::Network("CephFS")),
    (0x0102_1997, FileSystem::Network("9p")),
    (0x0116_1970, FileSystem::Network("GFS2")),
    (0x0BD0_0BD0, FileSystem::Network("Lustre")),
    (0x1983_0326, FileSystem::Network("BeeGFS")),
    (0x2003_0528, FileSystem::Network("OrangeFS")),
    (0x4750_4653, FileSystem::Network("GPFS")),
    (0x5346_414F, FileSystem::Network("AFS")),
    (0x6B41_4653, FileSystem::Network("AFS")),
    (0x7375_7245, FileSystem::Network("Coda")),
    (0x7461_636F, FileSystem::Network("OCFS2")),
    (0x786F_4256, FileSystem::Network("VirtualBox shared folder")),
    (0x7C7C_6673, FileSystem::Network("Parallels shared folder")),
    (0xAAD7_AAEA, FileSystem::Network("PanFS")),
    (0xBACB_ACBC, FileSystem::Network("VMware shared folder")),
    (0xBEEF_DEAD, FileSystem::Network("SNFS")),
    (0xFE53_4D42, FileSystem::Network("SMB")),
    (0xFF53_4D42, FileSystem::Network("SMB")),
];

/// Types of mounts that lead to other machines through a program, or to the host of this one.
const NETWORK_MOUNTS: &[&str] = &[
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.curlftpfs",
    "fuse.davfs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.goofys",
    "fuse.juicefs",
    "fuse.mount-s3",
    "fuse.prl_fsd",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "fuse.vmhgfs-fuse",
    "virtiofs",
];

/// What lies under `path`; [`FileSystem::Other`] where that cannot be told.
pub(crate) fn of(path: &Path) -> FileSystem {
    statfs(path).map_or(FileSystem::Other, |found| by_magic(low_bits(found.f_type)))
}

/// What a magic number stands for.
pub(crate) fn by_magic(magic: u32) -> FileSystem {
    KNOWN.iter().find(|(known, _)| *known == magic).map_or(FileSystem::Other, |(_, kind)| *kind)
}

/// The name of the network file system that a folder lies on, if it does.
pub(crate) fn network(folder: &Path) -> Option<String> {
    match of(folder) {
        FileSystem::Network(name) => Some(name.to_owned()),
        FileSystem::Fuse => {
            let device = rustix::fs::stat(folder).ok().map(|found: Stat| found.st_dev)?;
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
            let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
            let kind = mount_type(&mounts, &device)?;
            NETWORK_MOUNTS.contains(&kind).then(|| kind.to_owned())
        }
        FileSystem::Disk | FileSystem::Memory | FileSystem::Other => None,
    }
}

/// The type of the mount of a device, by the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
fn mount_type<'a>(mounts: &'a str, device: &str) -> Option<&'a str> {
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device))?;
    line.split_once(" - ")?.1.split(' ').next()
}

/// The type of the field differs between machines; the numbers have 32 bits.
fn low_bits(magic: impl Into<i128>) -> u32 {
    u32::try_from(magic.into() & 0xFFFF_FFFF).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f14_file_systems_are_told_by_their_numbers() {
        let network = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x0102_1997, 0x00C3_6400, 0x7461_636F, 0x786F_4256];
        for magic in network {
            assert!(matches!(by_magic(magic), FileSystem::Network(_)), "{magic:x}");
        }
        for magic in [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0xF2F5_2010] {
            assert_eq!(by_magic(magic), FileSystem::Disk, "{magic:x}");
        }
        assert_eq!(by_magic(0x0102_1994), FileSystem::Memory);
        assert_eq!(by_magic(0x6573_5546), FileSystem::Fuse);
        // overlayfs, vfat, exfat, squashfs, and one that nobody knows.
        for magic in [0x794C_7630, 0x4D44, 0x2011_BAB0, 0x7371_7368, 0x1234_5678] {
            assert_eq!(by_magic(magic), FileSystem::Other, "{magic:x}");
        }
    }

    #[test]
    fn a_number_is_the_same_whatever_the_sign_of_its_field() {
        assert_eq!(low_bits(0xFF53_4D42_i64), 0xFF53_4D42);
        assert_eq!(low_bits(0xFF53_4D42_u32.cast_signed()), 0xFF53_4D42);
    }

    #[test]
    fn f14_the_type_of_a_mount_through_a_program_is_read_by_its_device() {
        let mounts = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                      61 22 0:41 / /home/a\\040b rw,nosuid shared:9 master:2 - fuse.sshfs a@host:/b rw,user_id=0\n\
                      62 22 0:42 / /x rw - fuse.gocryptfs /y rw\n63 22 0:43 / /s rw - virtiofs host rw\n";
        assert_eq!(mount_type(mounts, "0:41"), Some("fuse.sshfs"));
        assert_eq!(mount_type(mounts, "0:42"), Some("fuse.gocryptfs"));
        assert_eq!(mount_type(mounts, "0:4"), None);
        assert!(NETWORK_MOUNTS.contains(&"fuse.sshfs") && NETWORK_MOUNTS.contains(&"virtiofs"));
        assert!(!NETWORK_MOUNTS.contains(&"fuse.gocryptfs"));
        assert!(NETWORK_MOUNTS.is_sorted());
    }
}
