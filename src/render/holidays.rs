//! Public holidays, as `model::calendar` knows them.

use jiff::civil::Date;

/// Name of the public holiday of that day.
pub(super) fn name(_date: Date, _alsace_moselle: bool) -> Option<&'static str> {
    None
}
