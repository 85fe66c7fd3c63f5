//! Tells cargo that the embedded folders are sources: a file added to them is in the next build.

fn main() {
    for folder in ["content", "starter-commune", "themes"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
