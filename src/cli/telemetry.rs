//! Where logs go: standard error, without any personal data (nobody puts any there).

use tracing::level_filters::LevelFilter;

/// Starts logging; `MULOT_JOURNAL` is `off`, `error`, `warn`, `info`, `debug` or `trace`.
pub(super) fn start(default: LevelFilter, json: bool) {
    let level = std::env::var("MULOT_JOURNAL").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A second start in one process (tests) changes nothing.
    let _ = if json {
        builder.json().try_init()
    } else {
        builder.with_ansi(super::report::colour(&std::io::stderr())).try_init()
    };
}
