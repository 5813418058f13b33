//! What the attribute refuses, and what it says. `TRYBUILD=overwrite` writes the messages anew.

#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("pass/*.rs");
    cases.compile_fail("fail/*.rs");
}
