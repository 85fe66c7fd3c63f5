//! Files of the folder that pages name: pictures in their variants, cleaned SVG, documents under clean addresses.
//!
//! Only what a public page names is published. Each file is prepared once, whoever asks first, on any thread.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::links::Broken;
use super::view::{DocumentView, ImageSource, ImageView};
use crate::diagnostic::{Code, Severity};
use crate::model::output::{Artifact, Picture, PictureError, Pictures, Sink, Variant};
use crate::model::site::{FileData, SourceFile};
use crate::text::numbers::file_size;
use crate::text::slug::slug;
use crate::text::typography::french;

/// Width in pixels of the variant that old browsers get.
const MIDDLE_WIDTH: u32 = 960;

/// The files of a site, prepared when first named.
pub(super) struct Media<'s> {
    pictures: &'s dyn Pictures,
    entries: BTreeMap<&'s str, Entry<'s>>,
    sources: BTreeMap<String, &'s str>,
}

struct Entry<'s> {
    file: &'s SourceFile,
    /// Path in the site, without leading slash.
    published: String,
    prepared: OnceLock<Result<Prepared, Broken>>,
}

enum Prepared {
    Picture(Arc<Picture>),
    Svg { path: String, width: u32, height: u32, bytes: Arc<[u8]> },
    Document,
}

impl<'s> Media<'s> {
    /// Gives every file of the folder its address; prepares none yet.
    pub(super) fn new(files: &'s BTreeMap<String, SourceFile>, pictures: &'s dyn Pictures) -> Self {
        let mut taken = BTreeSet::new();
        let mut entries = BTreeMap::new();
        let mut sources = BTreeMap::new();
        for (path, file) in files {
            let published = free_name(clean_path(path), &mut taken);
            sources.insert(published.clone(), path.as_str());
            entries.insert(path.as_str(), Entry { file, published, prepared: OnceLock::new() });
        }
        Media { pictures, entries, sources }
    }

    /// The file of the folder published at that path of the site.
    pub(super) fn source_of(&self, published: &str) -> Option<&'s str> {
        self.sources.get(published).copied()
    }

    /// Address and details (« PDF, 340 ko »; `None` for a picture) of a file that a text links to.
    pub(super) fn link(&self, path: &str) -> Result<(String, Option<String>), Broken> {
        let entry = self.entry(path)?;
        Ok(match self.prepared(path, entry)? {
            Prepared::Picture(picture) => match picture.variants.last() {
                Some(largest) => (format!("/{}", largest.path), None),
                None => (format!("/{}", entry.published), None),
            },
            Prepared::Svg { path, .. } => (format!("/{path}"), None),
            Prepared::Document => {
                let details = format!("{}, {}", format_of(path), file_size(entry.file.size));
                (format!("/{}", entry.published), Some(details))
            }
        })
    }

    /// A picture with its variants.
    pub(super) fn image<'a>(&self, path: &str, alt: &'a str, credit: Option<&'a str>) -> Result<ImageView<'a>, Broken> {
        let entry = self.entry(path)?;
        let (alt, credit) = (french(alt), credit.map(french));
        match self.prepared(path, entry)? {
            Prepared::Picture(picture) => image_view(picture, alt, credit).ok_or_else(|| broken(path)),
            Prepared::Svg { path, width, height, .. } => Ok(ImageView {
                src: format!("/{path}").into(),
                width: *width,
                height: *height,
                alt,
                sources: Vec::new(),
                srcset: None,
                credit,
            }),
            Prepared::Document => Err(Broken::new(
                Severity::Error,
                Code::BrokenImage,
                format!("« {path} » n'est pas une image"),
                "donnez un fichier JPEG, PNG, WebP, GIF ou SVG",
            )),
        }
    }

    /// A document offered for download; the file's name stands for a missing title.
    pub(super) fn document<'a>(&self, path: &'a str, title: Option<&'a str>) -> Result<DocumentView<'a>, Broken> {
        let (url, _) = self.link(path)?;
        let entry = self.entry(path)?;
        let title = match title {
            Some(title) => french(title),
            None => Cow::Owned(french(&title_of(path)).into_owned()),
        };
        Ok(DocumentView {
            title,
            url: url.into(),
            format: format_of(path).into(),
            size: file_size(entry.file.size).into(),
            pages: None,
        })
    }

    /// Gives away every prepared file.
    pub(super) fn publish(&self, sink: Sink<'_>) {
        for entry in self.entries.values() {
            match entry.prepared.get() {
                Some(Ok(Prepared::Picture(picture))) => {
                    for variant in &picture.variants {
                        sink(&variant.path, Artifact::Copy(variant.data.clone()));
                    }
                }
                Some(Ok(Prepared::Svg { path, bytes, .. })) => {
                    sink(path, Artifact::Bytes(bytes.clone()));
                }
                Some(Ok(Prepared::Document)) => {
                    sink(&entry.published, Artifact::Copy(entry.file.data.clone()));
                }
                Some(Err(_)) | None => {}
            }
        }
    }

    fn entry(&self, path: &str) -> Result<&Entry<'s>, Broken> {
        self.entries.get(path).ok_or_else(|| {
            Broken::new(
                Severity::Error,
                Code::MissingFile,
                format!("le fichier « {path} » n'existe pas"),
                "vérifiez son nom et son dossier, majuscules et accents compris",
            )
        })
    }

    fn prepared<'e>(&self, path: &str, entry: &'e Entry<'s>) -> Result<&'e Prepared, Broken> {
        entry.prepared.get_or_init(|| self.prepare(path, entry)).as_ref().map_err(Clone::clone)
    }

    fn prepare(&self, path: &str, entry: &Entry<'s>) -> Result<Prepared, Broken> {
        match extension(path).as_str() {
            "jpg" | "jpeg" | "png" | "webp" | "gif" => {
                self.pictures.picture(path, entry.file).map(Prepared::Picture).map_err(|error| refused(path, &error))
            }
            "svg" => self.svg(path, entry),
            "html" | "htm" | "xhtml" | "js" | "mjs" | "php" | "exe" | "msi" | "bat" | "cmd" | "com" | "scr" | "ps1"
            | "sh" | "vbs" | "jar" | "swf" => Err(Broken::new(
                Severity::Error,
                Code::BadDocument,
                format!("« {path} » contient du code : il n'est pas publié"),
                "donnez un PDF ou un document ODT",
            )),
            _ => Ok(Prepared::Document),
        }
    }

    fn svg(&self, path: &str, entry: &Entry<'s>) -> Result<Prepared, Broken> {
        let unreadable = |error: std::io::Error| {
            Broken::new(
                Severity::Error,
                Code::Unreadable,
                format!("« {path} » ne peut pas être lu : {}", crate::fs::cause(&error)),
                "vérifiez que le fichier est accessible",
            )
        };
        let owned;
        let bytes: &[u8] = match &entry.file.data {
            FileData::Memory(bytes) => bytes,
            FileData::Disk(_) => {
                owned = self.pictures.bytes(entry.file).map_err(unreadable)?;
                &owned
            }
        };
        let mut clean = Vec::with_capacity(bytes.len());
        if svg_hush::Filter::new().filter(bytes, &mut clean).is_err() {
            return Err(broken(path));
        }
        let (width, height) = svg_size(&String::from_utf8_lossy(&clean));
        let hash = blake3::hash(&clean).to_hex();
        let stem = entry.published.strip_suffix(".svg").unwrap_or(&entry.published);
        Ok(Prepared::Svg { path: format!("{stem}-{}.svg", &hash[..8]), width, height, bytes: clean.into() })
    }
}

/// `None` without any variant.
fn image_view<'a>(picture: &Picture, alt: Cow<'a, str>, credit: Option<Cow<'a, str>>) -> Option<ImageView<'a>> {
    let (modern, fallback): (Vec<&Variant>, Vec<&Variant>) =
        picture.variants.iter().partition(|variant| matches!(variant.media_type, "image/webp" | "image/avif"));
    let everyone = if fallback.is_empty() { &modern } else { &fallback };
    let middle = everyone.iter().rev().find(|variant| variant.width <= MIDDLE_WIDTH).or(everyone.first())?;
    let mut sources: Vec<ImageSource<'a>> = Vec::new();
    if !fallback.is_empty() {
        for media_type in ["image/avif", "image/webp"] {
            let same: Vec<&&Variant> = modern.iter().filter(|variant| variant.media_type == media_type).collect();
            if !same.is_empty() {
                let srcset = same.iter().map(|variant| candidate(variant)).collect::<Vec<_>>().join(", ");
                sources.push(ImageSource { mime: media_type.into(), srcset: srcset.into() });
            }
        }
    }
    let srcset = (everyone.len() > 1)
        .then(|| Cow::Owned(everyone.iter().map(|variant| candidate(variant)).collect::<Vec<_>>().join(", ")));
    Some(ImageView {
        src: format!("/{}", middle.path).into(),
        width: middle.width,
        height: middle.height,
        alt,
        sources,
        srcset,
        credit,
    })
}

fn candidate(variant: &Variant) -> String {
    format!("/{} {}w", variant.path, variant.width)
}

fn broken(path: &str) -> Broken {
    refused(path, &PictureError::Broken(String::new()))
}

fn refused(path: &str, error: &PictureError) -> Broken {
    match error {
        PictureError::Broken(_) => Broken::new(
            Severity::Error,
            Code::BrokenImage,
            format!("l'image « {path} » est abîmée : elle ne peut pas être lue"),
            "ouvrez-la dans un logiciel d'images et enregistrez-la de nouveau, en JPEG ou en PNG",
        ),
        PictureError::TooLarge(width, height) => Broken::new(
            Severity::Error,
            Code::HugeImage,
            format!("l'image « {path} » est trop grande ({width} × {height} points)"),
            "réduisez-la : 4 000 points de large suffisent toujours",
        ),
        PictureError::Io(cause) => Broken::new(
            Severity::Error,
            Code::Unreadable,
            format!("l'image « {path} » ne peut pas être lue : {cause}"),
            "vérifiez que le fichier est accessible et que le disque n'est pas plein",
        ),
    }
}

/// Size of an SVG in CSS pixels: its `width` and `height`, else its `viewBox`, else 300 × 150 as browsers do.
fn svg_size(svg: &str) -> (u32, u32) {
    let open = svg.find("<svg").map_or("", |at| &svg[at..]);
    let open = open.split('>').next().unwrap_or("");
    let attribute = |name: &str| {
        let at = open.find(&format!(" {name}=\""))? + name.len() + 3;
        open[at..].split('"').next()
    };
    let length = |name: &str| attribute(name)?.trim_end_matches("px").parse::<f64>().ok();
    let mut view_box =
        attribute("viewBox").unwrap_or("").split([' ', ',']).filter_map(|part| part.parse::<f64>().ok()).skip(2);
    let view_box = view_box.next().zip(view_box.next());
    let size = length("width").zip(length("height")).or(view_box).unwrap_or((300.0, 150.0));
    (size.0.round().max(1.0) as u32, size.1.round().max(1.0) as u32)
}

/// `medias/Plan du bourg été.PDF` → `medias/plan-du-bourg-ete.pdf`.
fn clean_path(path: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut pieces = path.split('/').peekable();
    while let Some(piece) = pieces.next() {
        let name = match (pieces.peek(), piece.rsplit_once('.')) {
            (None, Some((stem, extension))) if !stem.is_empty() => {
                format!("{}.{}", slug(stem), slug(extension))
            }
            _ => slug(piece),
        };
        parts.push(name);
    }
    parts.join("/")
}

/// The same name, or with a number when another file took it.
fn free_name(wanted: String, taken: &mut BTreeSet<String>) -> String {
    let (stem, extension) = match wanted.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') => (stem.to_owned(), format!(".{extension}")),
        _ => (wanted.clone(), String::new()),
    };
    let mut name = wanted;
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{stem}-{number}{extension}");
    }
    name
}

fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_ascii_lowercase())
}

fn format_of(path: &str) -> String {
    match extension(path).as_str() {
        "" => "Fichier".to_owned(),
        other => other.to_uppercase(),
    }
}

/// `Compte-rendu_2026.pdf` → « Compte-rendu 2026 ».
fn title_of(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    stem.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_published_under_clean_addresses() {
        assert_eq!(clean_path("medias/Plan du bourg été.PDF"), "medias/plan-du-bourg-ete.pdf");
        let mut taken = BTreeSet::new();
        assert_eq!(free_name("medias/plan.pdf".into(), &mut taken), "medias/plan.pdf");
        assert_eq!(free_name("medias/plan.pdf".into(), &mut taken), "medias/plan-2.pdf");
    }

    #[test]
    fn the_size_of_an_svg_is_read() {
        assert_eq!(svg_size("<svg width=\"120\" height=\"80px\" viewBox=\"0 0 1 1\">"), (120, 80));
        assert_eq!(svg_size("<svg viewBox=\"0 0 64 32\">"), (64, 32));
        assert_eq!(svg_size("<svg>"), (300, 150));
    }
}
