//! The command line of `sessionlog`.
fn main() {}
