//! Chance that can be repeated, and what it does to a text or a form.

/// A stream of numbers that a seed repeats (SplitMix64).
pub struct Chance(u64);

impl Chance {
    /// The seed of `MULOT_HASARD`, or a new one.
    pub fn seed() -> u64 {
        let given = std::env::var("MULOT_HASARD").ok().and_then(|text| text.parse().ok());
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        given.unwrap_or(u64::from(std::process::id()) ^ now)
    }

    /// The stream of a seed.
    pub fn of(seed: u64) -> Self {
        Chance(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below the limit; 0 when the limit is.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    /// These bytes, mutilated one to four times: cut, shortened, split by a splinter, repeated, flipped, turned around.
    pub fn mutilated(&mut self, body: &[u8], splinters: &[&[u8]]) -> Vec<u8> {
        let mut bytes = body.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let until = (at + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..until)),
                2 => drop(bytes.splice(at..at, splinters[self.below(splinters.len())].iter().copied())),
                3 => {
                    let copy = bytes[at..until].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
                4 => {
                    let bit = 1 << self.below(8);
                    bytes[at..until].iter_mut().for_each(|byte| *byte ^= bit);
                }
                _ => bytes[at..until].reverse(),
            }
        }
        bytes
    }
}

/// How many rounds: a few, or a hundred times as many when `MULOT_LONG` is set.
pub fn rounds(few: usize) -> usize {
    few * if std::env::var_os("MULOT_LONG").is_some() { 100 } else { 1 }
}
