//! Takes what a resident confirmed, keeps it for sure, and brings it to the mairie; never speaks HTTP nor phrases anything
//! for people.

pub mod compose;
pub mod validate;
