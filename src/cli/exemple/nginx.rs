//! Settings of nginx (1.22 or later), one file for `/etc/nginx/conf.d` or `sites-enabled`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::{Address, ENDINGS, Front, SiteFront};
use crate::model::media_type::{ASSETS, cache_control, media_type};

/// Writes it.
pub(super) fn write(front: &Front) -> String {
    let mut text = format!(
        "# Réglages de nginx pour les sites et le guichet. Fait par : {}\n\
         # Les certificats sont ceux de certbot, un par site ; changez les chemins s'ils sont ailleurs.\n\
         # Après un changement de domaine, refaites-le ; puis : nginx -t && systemctl reload nginx\n\n",
        front.order
    );
    let kept = cache_control(ASSETS);
    let _ = writeln!(
        text,
        "map \"$status:$uri\" $mulot_cache {{\n    default \"no-cache\";\n    \
         \"~^(200|206|304):/{ASSETS}\" \"{kept}\";\n}}\n"
    );
    let upstream =
        if front.guichet.starts_with('/') { format!("unix:{}", front.guichet) } else { front.guichet.clone() };
    let _ = writeln!(text, "upstream mulot_guichet {{\n    server {upstream} max_fails=0;\n    keepalive 16;\n}}\n");
    text.push_str(
        "# Un nom que personne n'a déclaré : rien n'est montré, aucun certificat n'est présenté ; certbot peut en demander un.\n\
         server {\n    listen 80 default_server;\n    listen [::]:80 default_server;\n    listen 443 ssl default_server;\n    \
         listen [::]:443 ssl default_server;\n    ssl_reject_handshake on;\n    server_tokens off;\n    \
         location /.well-known/acme-challenge/ {\n        root /var/www/certbot;\n    }\n    \
         location / {\n        return 421;\n    }\n}\n\n",
    );
    for site in &front.sites {
        block(&mut text, site);
        for other in site.others.iter().filter(|other| other.host != site.address.host) {
            opening(&mut text, other, &site.address);
            let _ = writeln!(text, "    return 308 {}$request_uri;\n}}\n", site.address.url());
        }
    }
    for address in &front.desks {
        opening(&mut text, address, address);
        text.push_str("    location / {\n");
        proxied(&mut text);
        text.push_str("    }\n}\n\n");
    }
    text
}

/// Opens the server of an address; plain http, when it is not that of the site, leads to `target`.
fn opening(text: &mut String, address: &Address, target: &Address) {
    let host = address.host.split(':').next().unwrap_or_default();
    if address.https {
        let _ = writeln!(
            text,
            "server {{\n    listen 80;\n    listen [::]:80;\n    server_name {host};\n    server_tokens off;\n    \
             location /.well-known/acme-challenge/ {{\n        root /var/www/certbot;\n    }}\n    \
             location / {{\n        return 308 {}$request_uri;\n    }}\n}}\n",
            target.url()
        );
        let _ = writeln!(
            text,
            "server {{\n    listen 443 ssl http2;\n    listen [::]:443 ssl http2;\n    server_name {host};\n    \
             server_tokens off;\n    ssl_certificate /etc/letsencrypt/live/{host}/fullchain.pem;\n    \
             ssl_certificate_key /etc/letsencrypt/live/{host}/privkey.pem;\n    ssl_protocols TLSv1.2 TLSv1.3;"
        );
    } else {
        let _ = writeln!(
            text,
            "server {{\n    listen 80;\n    listen [::]:80;\n    server_name {host};\n    server_tokens off;"
        );
    }
}

fn block(text: &mut String, site: &SiteFront) {
    opening(text, &site.address, &site.address);
    if site.has_desk {
        text.push_str("\n    location /guichet/ {\n");
        proxied(text);
        text.push_str("    }\n");
    }
    let _ = writeln!(
        text,
        "\n    location / {{\n        root \"{}\";\n        index index.html;\n        absolute_redirect off;\n        error_page 404 /404.html;\n        \
         gzip_static on;\n        gzip on;\n        gzip_min_length 1000;\n        gzip_types {};\n        \
         location ~ /\\. {{\n            return 404;\n        }}",
        site.folder.display(),
        squeezed()
    );
    text.push_str("\n        types {\n");
    for (media, endings) in types() {
        let _ = writeln!(text, "            \"{media}\" {};", endings.join(" "));
    }
    text.push_str("        }\n        default_type application/octet-stream;\n\n");
    for (name, value) in &site.headers {
        match name.as_str() {
            "cache-control" => text.push_str("        add_header cache-control $mulot_cache always;\n"),
            _ => {
                let _ = writeln!(text, "        add_header {name} \"{value}\" always;");
            }
        }
    }
    text.push_str("        add_header vary accept-encoding always;\n    }\n}\n\n");
}

/// The way to the guichet, which gives its own headers. It refuses itself, with a page, what is too heavy; the limit is a last
/// guard. The visitor's address is the one nginx sees: what a visitor claims is not passed on.
fn proxied(text: &mut String) {
    text.push_str(
        "        client_max_body_size 70m;\n        proxy_request_buffering off;\n        proxy_http_version 1.1;\n        \
         proxy_pass http://mulot_guichet;\n        proxy_set_header Connection \"\";\n        \
         proxy_set_header Host $host;\n        proxy_set_header X-Forwarded-For $remote_addr;\n        \
         proxy_set_header X-Forwarded-Proto $scheme;\n",
    );
}

/// Media types with their endings, charset included.
fn types() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut types: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ending in ENDINGS {
        types.entry(media_type(&format!("x.{ending}"))).or_default().push(ending);
    }
    types
}

/// What is worth compressing: text, by its type without charset. nginx always adds HTML itself.
fn squeezed() -> String {
    let texts: BTreeSet<String> = types()
        .into_keys()
        .filter(|media| media.contains("charset") && !media.starts_with("text/html"))
        .map(|media| format!("\"{media}\""))
        .collect();
    texts.into_iter().collect::<Vec<_>>().join(" ")
}
