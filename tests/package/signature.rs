//! Digests, sizes and signatures: what rpm 4.11 finds out about a damaged package, and signing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vgpu_tests::root::Ran;

use crate::built::{ok, packages, query, size};

fn check(package: &Path, options: &[&str]) -> Ran {
    Ran::of(Command::new("rpm").args(["--checksig", "--verbose"]).args(options).arg(package))
}

/// Where the header begins, and where the payload does.
fn offsets(package: &Path) -> (usize, usize) {
    let bytes = fs::read(package).unwrap();
    let behind = |start: usize| {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        start + 16 + 16 * number(start + 8) + number(start + 12)
    };
    let header = behind(96).next_multiple_of(8);
    (header, behind(header))
}

fn copy_with_flipped_byte(package: &Path, folder: &TempDir, at: usize) -> PathBuf {
    let mut bytes = fs::read(package).unwrap();
    bytes[at] ^= 1;
    let copy = folder.path().join("damaged.rpm");
    fs::write(&copy, bytes).unwrap();
    copy
}

#[test]
fn every_digest_that_rpm_4_11_can_check_is_there_and_right() {
    let ran = check(&packages().this, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // 4.11.3 knows the header's SHA1 and the MD5 of header and payload; the others are for later ones.
    for digest in ["Header SHA256 digest: OK", "Header SHA1 digest: OK", "MD5 digest: OK"] {
        assert!(ran.stdout.contains(digest), "{}", ran.stdout);
    }
}

#[test]
fn one_flipped_bit_anywhere_is_found_even_with_nothing_but_the_md5() {
    let folder = TempDir::new().unwrap();
    let package = &packages().this;
    let (header, payload) = offsets(package);
    let last = usize::try_from(size(package)).unwrap() - 1;
    for at in [header + 100, payload, payload + 1000, usize::midpoint(payload, last), last] {
        let damaged = copy_with_flipped_byte(package, &folder, at);
        let ran = check(&damaged, &[]);
        assert_ne!(ran.code, Some(0), "byte {at}: {ran:?}");
        // A damaged header may be beyond reading.
        assert!(at < payload || ran.stdout.contains("MD5 digest: BAD"), "byte {at}: {ran:?}");
    }
}

#[test]
fn the_sizes_are_those_of_the_package_and_of_its_unpacked_payload() {
    let package = &packages().this;
    let (header, payload) = offsets(package);
    let told = query(package, &["--queryformat", "%{SIGSIZE} %{ARCHIVESIZE}"]);
    let bytes = fs::read(package).unwrap();
    let folder = TempDir::new().unwrap();
    let archive = folder.path().join("payload.gz");
    fs::write(&archive, &bytes[payload..]).unwrap();
    let unpacked = Command::new("gzip").args(["-dc"]).arg(&archive).output().unwrap().stdout;
    assert!(unpacked.starts_with(b"070701"), "no cpio archive");
    assert_eq!(told, format!("{} {}", bytes.len() - header, unpacked.len()));
}

#[test]
fn completing_a_complete_package_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join("copy.rpm");
    fs::copy(&packages().this, &copy).unwrap();
    let tool = vgpu_tests::programs::workspace().join("packaging/complete-signature");
    ok(Command::new("python3").arg(&tool).arg(&copy));
    assert!(fs::read(&copy).unwrap() == fs::read(&packages().this).unwrap());
    fs::write(&copy, &fs::read(&packages().this).unwrap()[..5000]).unwrap();
    let ran = Ran::of(Command::new("python3").arg(&tool).arg(&copy));
    assert_eq!(ran.code, Some(1), "a package cut short: {ran:?}");
    assert!(!ran.stderr.contains("Traceback"), "{}", ran.stderr);
}

#[test]
fn a_package_signed_with_rpms_own_tool_has_a_good_signature_and_keeps_its_digests() {
    let folder = TempDir::with_prefix_in("vgpu-", "/tmp").unwrap();
    let (home, keys) = (folder.path().join("gpg"), folder.path().join("keys"));
    fs::create_dir(&home).unwrap();
    ok(Command::new("chmod").arg("700").arg(&home));
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", &home).args(["--batch", "--quiet", "--passphrase", ""]);
        gpg
    };
    ok(gpg().args(["--quick-generate-key", "vgpu-test <test@example.com>", "rsa2048", "sign"]));
    let public = folder.path().join("public.asc");
    ok(gpg().args(["--armor", "--export", "--output"]).arg(&public));
    ok(Command::new("rpmkeys").arg("--dbpath").arg(&keys).arg("--import").arg(&public));
    let signed = folder.path().join("signed.rpm");
    fs::copy(&packages().this, &signed).unwrap();
    ok(Command::new("rpmsign")
        .env("GNUPGHOME", &home)
        .args(["--addsign", "--define", "_gpg_name vgpu-test", "--define", "_gpg_digest_algo sha256"])
        .args(["--define", "__gpg /usr/bin/gpg"])
        .arg(&signed));
    let dbpath = format!("--dbpath={}", keys.display());
    let ran = check(&signed, &[&dbpath]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("RSA/SHA256 Signature") && !ran.stdout.contains("NOKEY"), "{}", ran.stdout);
    assert!(ran.stdout.contains("MD5 digest: OK"), "{}", ran.stdout);
    let sizes = ["--queryformat", "%{SIGSIZE} %{ARCHIVESIZE}"];
    assert_eq!(query(&signed, &sizes), query(&packages().this, &sizes));
    // The agent would outlive the test.
    let _ = Command::new("gpgconf").env("GNUPGHOME", &home).args(["--kill", "all"]).status();
}
