//! Draws references; what a reference is stands in [`crate::model::reference`].

use jiff::Zoned;

use crate::model::reference::Reference;

/// A new reference of the year of `now`, with 40 bits of the system's randomness.
///
/// # Errors
/// [`getrandom::Error`] when the system has no randomness to give.
pub fn draw(now: &Zoned) -> Result<Reference, getrandom::Error> {
    let mut random = [0; 5];
    getrandom::fill(&mut random)?;
    Ok(Reference::new(now.year(), random))
}
