//! Exit code of [`mulot::cli::run`], and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    mulot::cli::run(std::env::args_os()).into()
}
