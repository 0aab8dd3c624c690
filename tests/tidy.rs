//! The rules of `cargo xtask check` hold for this checkout, so `cargo test` alone tells.

#[test]
fn the_repository_keeps_its_rules() {
    let report = xtask::check::run(&xtask::repository_root()).expect("the checkout is readable");
    assert!(report.files > 50, "only {} files were looked at", report.files);
    assert!(report.passed(), "\n{report}");
}
