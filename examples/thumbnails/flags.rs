//! The command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use runtime::{Place, Policy};

use super::picture::Bounds;
use super::pipeline::Job;
use super::platform::PlatformFlags;
use super::scratch::Scratch;
use super::store::Location;

/// Photographs of our own, if none are given.
const PHOTOGRAPHS: usize = 24;
/// The folder below the output that they are in.
pub(crate) const ORIGINALS: &str = "originals";

/// Makes thumbnails of photographs on several workers.
///
/// Without --input or --s3 it makes photographs of its own first (12 megapixels, about 3 MB each).
///
/// Exit status: 0 every photo has a thumbnail; 1 some failed, each with its reason, or there is no
/// gallery; 2 the flags are wrong; 70 the job could not run at all, as where the photos cannot be
/// listed.
#[derive(Debug, Parser)]
#[command(name = "thumbnails")]
pub(crate) struct Flags {
    /// A folder of photos: JPEG, PNG or WebP
    #[arg(long, value_name = "DIR", conflicts_with = "s3")]
    input: Option<PathBuf>,
    /// Where thumbnails go, and photographs of our own: a folder [default: a new temporary one,
    /// from which the photographs are removed at the end]
    #[arg(long, value_name = "DIR", conflicts_with = "s3")]
    output: Option<PathBuf>,
    /// Photos below BUCKET/PREFIX/originals, thumbnails below BUCKET/PREFIX/thumbnails
    #[arg(long, value_name = "BUCKET/PREFIX")]
    s3: Option<String>,
    /// An S3 server that is not AWS, such as http://127.0.0.1:9000
    #[arg(long, value_name = "URL", requires = "s3")]
    endpoint: Option<String>,
    /// At most so many photos [default: all; 24 of our own]
    #[arg(long, value_parser = positive)]
    count: Option<usize>,
    /// At most so many workers [default: one a core]
    #[arg(long, value_parser = positive)]
    pub(crate) workers: Option<usize>,
    /// The box that thumbnails fit in, WIDTHxHEIGHT in pixels
    #[arg(long, value_name = "WxH", default_value = "100x100")]
    size: Bounds,
    #[command(flatten)]
    pub(crate) platform: PlatformFlags,
    /// Where tasks go
    #[arg(long, value_enum)]
    pub(crate) place: Option<Where>,
    /// Who decides where tasks run and how many workers there are: conventional, paper or farspawn
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<Policy>,
    /// Makes photographs of our own in the bucket first
    #[arg(long, requires = "s3")]
    generate: bool,
    /// The size of photographs of our own [default: various of about 12 megapixels]
    #[arg(long, value_name = "WxH", conflicts_with = "input")]
    pub(crate) photo_size: Option<Bounds>,
    /// Writes the thumbnails (at most 400) onto one sheet, a PNG file
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: Option<PathBuf>,
    /// Prints the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where tasks go.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Where {
    /// Where the scheduler's policy puts them
    Auto,
    /// All to one worker
    Together,
    /// Spread over all workers
    Apart,
}

impl From<Where> for Place {
    fn from(place: Where) -> Self {
        match place {
            Where::Auto => Self::Auto,
            Where::Together => Self::Together,
            Where::Apart => Self::Apart,
        }
    }
}

impl Flags {
    /// Whether there is nothing to work on but what we make.
    pub(crate) fn makes_photographs(&self) -> bool {
        self.generate || (self.input.is_none() && self.s3.is_none())
    }

    /// A folder for the output, if none is named.
    pub(crate) fn scratch(&self) -> anyhow::Result<Option<Scratch>> {
        if self.output.is_some() || self.s3.is_some() {
            return Ok(None);
        }
        Scratch::new().map(Some).context("no temporary folder can be made: name one with --output")
    }

    /// What is to be done. Output goes to `scratch` if there is one.
    pub(crate) fn job(&self, scratch: Option<&Scratch>) -> anyhow::Result<Job> {
        let own = if self.makes_photographs() { PHOTOGRAPHS } else { usize::MAX };
        let count = self.count.unwrap_or(own);
        let (source, target) = match &self.s3 {
            Some(s3) => self.in_s3(s3)?,
            None => self.in_folders(scratch)?,
        };
        Ok(Job { source, target, bounds: self.size, count })
    }

    fn in_s3(&self, s3: &str) -> anyhow::Result<(Location, Location)> {
        let below = |part: &str| {
            let place = format!("{}/{part}", s3.trim_end_matches('/'));
            Location::s3(&place, self.endpoint.as_deref()).context("--s3")
        };
        Ok((below(ORIGINALS)?, below("thumbnails")?))
    }

    fn in_folders(&self, scratch: Option<&Scratch>) -> anyhow::Result<(Location, Location)> {
        let output = scratch.map(Scratch::path).or(self.output.as_deref());
        let output = output.context("--output is missing")?;
        let originals = self.input.clone().unwrap_or_else(|| output.join(ORIGINALS));
        let thumbnails = output.join("thumbnails");
        std::fs::create_dir_all(&thumbnails)
            .with_context(|| format!("--output: {} cannot be made", thumbnails.display()))?;
        Ok((
            Location::folder(originals).context("--input")?,
            Location::folder(thumbnails).context("--output")?,
        ))
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("a whole number from 1 to 1000000 is expected".to_owned()),
    }
}
