//! French text: dates, typography, addresses, numbers. Pure helpers that know nothing of communes or forms.

pub mod dates;
pub mod numbers;
pub mod slug;
pub mod typography;
