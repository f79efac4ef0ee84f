//! Writes `docs/providers/` from the presets: one page each and an index. A test fails while the folder says anything else.

use outlast_oauth::provider;
use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "pages of the documentation: neither private nor in need of a sync")]
fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers");
    let presets = provider::all();
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("README.md"), provider::index(&presets))?;
    for preset in &presets {
        std::fs::write(folder.join(format!("{}.md", preset.name)), provider::page(preset))?;
    }
    Ok(())
}
