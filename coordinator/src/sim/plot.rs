//! The paper's Figures 2, 3 and 4 as one would put them beside the paper's: SVG.

use std::path::Path;

use plotters::prelude::*;

use super::evaluation::{Row, Summary};

/// Why a figure was not drawn, in words.
type Fault = String;

/// What a figure shows, and its name.
struct Figure {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    value: fn(&Summary) -> f64,
}

const FIGURES: [Figure; 3] = [
    Figure {
        file: "figure-2-cost",
        title: "Cost of a million invocations",
        unit: "dollars",
        value: |summary| summary.dollars_per_million,
    },
    Figure {
        file: "figure-3-invocations",
        title: "Invocations of the function",
        unit: "invocations",
        value: |summary| summary.invocations,
    },
    Figure {
        file: "figure-4-latency",
        title: "Time for 100 invocations",
        unit: "seconds",
        value: |summary| summary.makespan,
    },
];

/// Of the baseline, the paper's policy, ours, and the bound.
const COLOURS: [RGBColor; 4] = [
    RGBColor(0x8d, 0x99, 0xae),
    RGBColor(0xe0, 0x8e, 0x45),
    RGBColor(0x1f, 0x7a, 0x8c),
    RGBColor(0xc9, 0xd6, 0xdf),
];

/// Draws the three figures of each test into a folder; gives the files' names.
pub fn draw(rows: &[Row], folder: &Path) -> Result<Vec<String>, Fault> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names = Vec::new();
    let mut tests: Vec<&str> = rows.iter().map(|row| row.workload.as_str()).collect();
    tests.dedup();
    for test in tests {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.workload == test).collect();
        let letter = test.chars().next().unwrap_or('x').to_ascii_lowercase();
        for figure in &FIGURES {
            let name = format!("{}-{letter}.svg", figure.file);
            figure
                .draw(&rows, test, &folder.join(&name))
                .map_err(|error| format!("{}: {error}", folder.join(&name).display()))?;
            names.push(name);
        }
    }
    Ok(names)
}

impl Figure {
    fn draw(&self, rows: &[&Row], test: &str, file: &Path) -> Result<(), Fault> {
        let fault = |error: &dyn std::fmt::Display| error.to_string();
        let values = |row: &&Row| row.summaries.iter().map(self.value).fold(0.0, f64::max);
        let highest = rows.iter().map(values).fold(1e-9, f64::max) * 1.4;
        let area = SVGBackend::new(file, (860, 480)).into_drawing_area();
        area.fill(&WHITE).map_err(|error| fault(&error))?;
        let count = rows.len() as f64;
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("{} ({test})", self.title), ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..count, 0.0..highest)
            .map_err(|error| fault(&error))?;
        let labels: Vec<String> = rows.iter().map(|row| format!("{} MB", row.memory_mb)).collect();
        chart
            .configure_mesh()
            .disable_x_mesh()
            // A label in the middle of its group of bars.
            .x_labels(2 * rows.len() + 1)
            .x_label_formatter(&|x| {
                let is_middle = (x.fract() - 0.5).abs() < 1e-6;
                labels.get(*x as usize).filter(|_| is_middle).cloned().unwrap_or_default()
            })
            .y_desc(self.unit)
            .light_line_style(WHITE)
            .draw()
            .map_err(|error| fault(&error))?;
        let policies = rows.first().map_or(0, |row| row.summaries.len());
        for at in 0..policies {
            let name = rows[0].summaries[at].policy.clone();
            let colour = COLOURS[if name == "bound" { 3 } else { at.min(2) }];
            let bars = rows.iter().enumerate().map(|(group, row)| {
                let width = 0.8 / policies as f64;
                let left = group as f64 + 0.1 + width * at as f64;
                let value = (self.value)(&row.summaries[at]);
                Rectangle::new([(left, 0.0), (left + 0.92 * width, value)], colour.filled())
            });
            chart.draw_series(bars).map_err(|error| fault(&error))?.label(name).legend(
                move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()),
            );
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .label_font(("sans-serif", 14))
            .draw()
            .map_err(|error| fault(&error))?;
        area.present().map_err(|error| fault(&error))
    }
}
