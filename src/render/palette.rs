//! The commune's palette: from its one colour, every token of the theme in light and dark, judged for contrast.
//!
//! The recipes and the pairs to judge are written in the theme's `theme.toml`; this module only counts. Colours are made in
//! OKLCH (Ottosson, 2020); contrast is that of WCAG 2.1, 1.4.3.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oklab::{Oklab, Rgb, oklab_to_linear_srgb, srgb_to_oklab};
use serde::Deserialize;

/// An sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Color(pub(super) [u8; 3]);

impl Color {
    /// Reads `#rrggbb`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Color([part(0)?, part(2)?, part(4)?]))
    }

    /// `#rrggbb`.
    pub(super) fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Relative luminance (WCAG 2.1), from 0 to 1.
    fn luminance(self) -> f64 {
        let linear = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

/// Contrast ratio of two colours (WCAG 2.1), from 1 to 21.
pub(super) fn contrast(one: Color, other: Color) -> f64 {
    let (one, other) = (one.luminance(), other.luminance());
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// A colour in OKLCH: lightness from 0 to 1, chroma, hue in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lch {
    l: f32,
    c: f32,
    h: f32,
}

impl Lch {
    fn of(color: Color) -> Self {
        let [red, green, blue] = color.0;
        let lab = srgb_to_oklab(Rgb::new(red, green, blue));
        Lch { l: lab.l, c: lab.a.hypot(lab.b), h: lab.b.atan2(lab.a).to_degrees() }
    }

    /// The nearest sRGB colour of that lightness and hue: chroma is taken down by steps of 0.002 while it cannot be shown.
    fn color(self) -> Color {
        let l = self.l.clamp(0.0, 1.0);
        let mut c = self.c.max(0.0);
        loop {
            let (sin, cos) = self.h.to_radians().sin_cos();
            let lab = Oklab { l, a: c * cos, b: c * sin };
            let linear = oklab_to_linear_srgb(lab);
            let shown = [linear.r, linear.g, linear.b].iter().all(|part| (-0.000_1..=1.000_1).contains(part));
            if shown || c == 0.0 {
                let rgb = lab.to_srgb();
                return Color([rgb.r, rgb.g, rgb.b]);
            }
            c = (c - 0.002).max(0.0);
        }
    }
}

/// How a token is made from the commune's colour.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Recipe {
    /// `"base"`: the colour itself.
    Word(String),
    /// The same, lighter or darker.
    Shift {
        /// Added to its lightness.
        ecart: f32,
    },
    /// Its hue, at a given lightness and chroma; with `h`, the same colour for every commune.
    Made {
        /// Lightness.
        l: f32,
        /// Chroma of a lively colour; a dull commune's colour gives less.
        c: f32,
        /// Fixed hue.
        h: Option<f32>,
    },
}

impl Recipe {
    /// Whether its word, if it is one, means something.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Recipe::Word(word) if word != "base")
    }
}

/// A colour token of the theme.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Token {
    /// `--couleur`.
    pub(super) nom: String,
    /// In light.
    pub(super) clair: Recipe,
    /// In dark.
    pub(super) sombre: Recipe,
}

/// A pair that must be legible, in light and in dark.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pair {
    /// Token of the text, the border or the outline.
    pub(super) texte: String,
    /// Token of the ground.
    pub(super) fond: String,
    /// Least contrast.
    pub(super) minimum: f64,
}

/// Tokens with their colours, in the order of the theme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Palette {
    /// Name → light, dark.
    tokens: Vec<(String, Color, Color)>,
}

/// A pair without enough contrast.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// « --encre sur --fond ».
    pub(super) pair: String,
    /// What it is.
    pub(super) ratio: f64,
    /// What it should be.
    pub(super) minimum: f64,
    /// In dark rather than in light.
    pub(super) dark: bool,
}

impl Palette {
    fn new(tokens: &[Token], base: Color) -> Self {
        let origin = Lch::of(base);
        let made = |recipe: &Recipe| match recipe {
            Recipe::Word(_) => base,
            Recipe::Shift { ecart } => Lch { l: origin.l + ecart, ..origin }.color(),
            Recipe::Made { l, c, h: Some(h) } => Lch { l: *l, c: *c, h: *h }.color(),
            Recipe::Made { l, c, h: None } => Lch { l: *l, c: c * (origin.c / 0.08).min(1.0), h: origin.h }.color(),
        };
        Palette { tokens: tokens.iter().map(|t| (t.nom.clone(), made(&t.clair), made(&t.sombre))).collect() }
    }

    /// The colour of a token, in light then in dark.
    pub(super) fn get(&self, name: &str) -> Option<(Color, Color)> {
        self.tokens.iter().find(|token| token.0 == name).map(|token| (token.1, token.2))
    }

    /// The CSS block that declares every token.
    pub(super) fn css(&self) -> String {
        let mut css = String::with_capacity(self.tokens.len() * 48);
        css.push_str(":root{color-scheme:light dark;");
        for (name, light, _) in &self.tokens {
            let _ = write!(css, "{name}:{};", light.hex());
        }
        css.push_str("}\n@media (prefers-color-scheme:dark){:root{");
        for (name, _, dark) in &self.tokens {
            let _ = write!(css, "{name}:{};", dark.hex());
        }
        css.push_str("}}\n");
        css
    }

    fn failures(&self, pairs: &[Pair]) -> Vec<Failure> {
        let colors: BTreeMap<&str, (Color, Color)> =
            self.tokens.iter().map(|(name, light, dark)| (name.as_str(), (*light, *dark))).collect();
        let mut failures = Vec::new();
        for pair in pairs {
            let (Some(text), Some(ground)) = (colors.get(pair.texte.as_str()), colors.get(pair.fond.as_str())) else {
                continue;
            };
            for (dark, ratio) in [(false, contrast(text.0, ground.0)), (true, contrast(text.1, ground.1))] {
                // A hair of tolerance: the pairs of the theme are tuned on rounded colours.
                if ratio + 0.005 < pair.minimum {
                    let name = format!("{} sur {}", pair.texte, pair.fond);
                    failures.push(Failure { pair: name, ratio, minimum: pair.minimum, dark });
                }
            }
        }
        failures
    }
}

/// A legible palette, as near as can be to the wish.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    /// The tokens.
    pub(super) palette: Palette,
    /// The strong colour in use.
    pub(super) base: Color,
    /// Pairs that no lightness of the colour can mend: the theme's own fault.
    pub(super) failures: Vec<Failure>,
}

/// The palette of a colour; when a pair is not legible, the nearest lightness of the same hue that makes them all so.
pub(super) fn judge(tokens: &[Token], pairs: &[Pair], wish: Color) -> Judged {
    let palette = Palette::new(tokens, wish);
    let failures = palette.failures(pairs);
    if failures.is_empty() {
        return Judged { palette, base: wish, failures };
    }
    let origin = Lch::of(wish);
    for step in 1..=180 {
        for sign in [-1.0, 1.0] {
            let l = origin.l + sign * 0.005 * step as f32;
            if !(0.1..=0.95).contains(&l) {
                continue;
            }
            let base = Lch { l, ..origin }.color();
            let candidate = Palette::new(tokens, base);
            if candidate.failures(pairs).is_empty() {
                return Judged { palette: candidate, base, failures: Vec::new() };
            }
        }
    }
    Judged { palette, base: wish, failures }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Given {
        couleur_defaut: String,
        jeton: Vec<GivenToken>,
        contraste: Vec<Pair>,
    }

    #[derive(Deserialize)]
    struct GivenToken {
        #[serde(flatten)]
        token: Token,
        clair_defaut: String,
        sombre_defaut: String,
    }

    fn given() -> Given {
        toml::from_str(include_str!("../../themes/mulot/theme.toml")).unwrap()
    }

    #[test]
    fn the_default_colour_gives_the_colours_the_designer_saw() {
        let given = given();
        let tokens: Vec<Token> = given.jeton.iter().map(|token| token.token.clone()).collect();
        let judged = judge(&tokens, &given.contraste, Color::parse(&given.couleur_defaut).unwrap());
        assert_eq!(judged.failures, vec![]);
        for expected in &given.jeton {
            let (light, dark) = judged.palette.get(&expected.token.nom).unwrap();
            for (made, seen) in [(light, &expected.clair_defaut), (dark, &expected.sombre_defaut)] {
                let seen = Color::parse(seen).unwrap();
                let far = made.0.iter().zip(seen.0).map(|(a, b)| a.abs_diff(b)).max().unwrap();
                assert!(far <= 1, "{}: {} instead of {}", expected.token.nom, made.hex(), seen.hex());
            }
        }
    }

    #[test]
    fn every_colour_a_commune_may_choose_ends_legible() {
        let given = given();
        let tokens: Vec<Token> = given.jeton.iter().map(|token| token.token.clone()).collect();
        for red in (0..=255).step_by(51) {
            for green in (0..=255).step_by(51) {
                for blue in (0..=255).step_by(51) {
                    let wish = Color([red as u8, green as u8, blue as u8]);
                    let judged = judge(&tokens, &given.contraste, wish);
                    assert_eq!(judged.failures, vec![], "{}", wish.hex());
                }
            }
        }
    }

    #[test]
    fn black_on_white_is_21() {
        assert!((contrast(Color([0; 3]), Color([255; 3])) - 21.0).abs() < 1e-9);
        assert_eq!(Color::parse("#2F6b4f").unwrap().hex(), "#2f6b4f");
        assert!(Color::parse("vert").is_none());
        assert!(Color::parse("#ééé").is_none());
    }
}
