//! A landscape, painted row by row: sky and sun, ridges one behind the other, water in front.

use super::noise::{Dice, Texture, crest, floor, pixel};

type Color = [f32; 3];

/// The colours of one hour of the day.
struct Light {
    zenith: Color,
    horizon: Color,
    sun: Color,
    /// Of the nearest ridge; the farther ones fade into the horizon.
    land: Color,
    water: Color,
}

const LIGHTS: [Light; 6] = [
    // Noon, dawn, dusk, an overcast day, a northern night, autumn.
    Light {
        zenith: [52.0, 108.0, 192.0],
        horizon: [188.0, 214.0, 232.0],
        sun: [255.0, 250.0, 226.0],
        land: [58.0, 84.0, 44.0],
        water: [38.0, 92.0, 122.0],
    },
    Light {
        zenith: [92.0, 104.0, 158.0],
        horizon: [248.0, 190.0, 150.0],
        sun: [255.0, 228.0, 180.0],
        land: [62.0, 48.0, 66.0],
        water: [120.0, 96.0, 118.0],
    },
    Light {
        zenith: [38.0, 30.0, 72.0],
        horizon: [236.0, 96.0, 52.0],
        sun: [255.0, 204.0, 112.0],
        land: [26.0, 18.0, 30.0],
        water: [72.0, 34.0, 52.0],
    },
    Light {
        zenith: [138.0, 148.0, 160.0],
        horizon: [206.0, 210.0, 212.0],
        sun: [232.0, 234.0, 232.0],
        land: [66.0, 78.0, 72.0],
        water: [92.0, 108.0, 112.0],
    },
    Light {
        zenith: [8.0, 14.0, 40.0],
        horizon: [32.0, 96.0, 104.0],
        sun: [214.0, 226.0, 240.0],
        land: [10.0, 18.0, 26.0],
        water: [12.0, 36.0, 54.0],
    },
    Light {
        zenith: [84.0, 136.0, 176.0],
        horizon: [232.0, 222.0, 186.0],
        sun: [255.0, 244.0, 204.0],
        land: [142.0, 82.0, 30.0],
        water: [74.0, 88.0, 72.0],
    },
];

/// A line of mountains: the row at which it begins in each column, and its colour.
struct Ridge {
    tops: Vec<f32>,
    color: Color,
    /// How much of the texture is seen: haze hides it in the distance.
    clarity: f32,
}

/// Everything that is drawn by lot, and the textures that move down with the rows.
pub(crate) struct Scene {
    width: u32,
    shore: f32,
    light: &'static Light,
    sun: [f32; 2],
    sun_radius: f32,
    /// The nearest first.
    ridges: Vec<Ridge>,
    clouds: [Texture; 3],
    rock: [Texture; 3],
    waves: [Texture; 2],
    grain: Dice,
    grain_strength: f32,
    cloud: Vec<f32>,
    relief: Vec<f32>,
}

impl Scene {
    pub(crate) fn new(width: u32, height: u32, mut dice: Dice) -> Self {
        let lot = usize::try_from(dice.draw() % LIGHTS.len() as u64).unwrap_or(0);
        let light = &LIGHTS[lot];
        let (wide, high) = (pixel(width), pixel(height));
        let shore = high * dice.between(0.62, 0.84);
        let sun = [wide * dice.between(0.12, 0.88), shore * dice.between(0.15, 0.62)];
        let sun_radius = high * dice.between(0.02, 0.05);
        let count = 3 + dice.draw() % 3;
        let mut texture = |across: f32, down: f32| Texture::new(&mut dice, width, across, down);
        let clouds = [
            texture(wide / 3.0, high / 9.0),
            texture(wide / 11.0, high / 30.0),
            texture(wide / 40.0, high / 80.0),
        ];
        let rock = [texture(high / 18.0, high / 26.0), texture(21.0, 15.0), texture(4.0, 4.0)];
        let waves = [texture(high / 14.0, high / 150.0), texture(14.0, 3.0)];
        Self {
            width,
            shore,
            light,
            sun,
            sun_radius,
            ridges: ridges(&mut dice, count, [wide, shore], light),
            clouds,
            rock,
            waves,
            grain_strength: dice.between(4.5, 6.0),
            grain: dice.fork(),
            cloud: vec![0.0; width as usize],
            relief: vec![0.0; width as usize],
        }
    }

    /// Appends the pixels of a row to `rgb`. Rows have to be painted once each, top down.
    pub(crate) fn paint(&mut self, row: u32, rgb: &mut Vec<u8>) {
        let place = pixel(row);
        if place < self.shore {
            self.prepare_air(row);
        } else {
            self.prepare_water(row);
        }
        for column in 0..self.width {
            let color = if place < self.shore {
                self.above_shore(column, place)
            } else {
                self.water(column, place)
            };
            let grain = self.grain();
            rgb.extend(color.map(|channel| byte(channel + grain)));
        }
    }

    fn prepare_air(&mut self, row: u32) {
        self.cloud.fill(-0.12);
        self.relief.fill(0.0);
        for (texture, strength) in self.clouds.iter_mut().zip([0.6, 0.3, 0.14]) {
            texture.add(row, strength, &mut self.cloud);
        }
        for (texture, strength) in self.rock.iter_mut().zip([20.0, 17.0, 19.0]) {
            texture.add(row, strength, &mut self.relief);
        }
    }

    fn prepare_water(&mut self, row: u32) {
        self.relief.fill(0.0);
        for (texture, strength) in self.waves.iter_mut().zip([18.0, 15.0]) {
            texture.add(row, strength, &mut self.relief);
        }
    }

    fn above_shore(&self, column: u32, place: f32) -> Color {
        let index = column as usize;
        let ridge = self.ridges.iter().find(|ridge| place >= ridge.tops[index]);
        let Some(ridge) = ridge else { return self.sky(column, place, self.cloud[index]) };
        // Slopes are darker towards the valley, and the texture stands for trees and rock.
        let depth = ((place - ridge.tops[index]) / self.shore).min(0.5);
        let shade = self.relief[index] * ridge.clarity - 40.0 * depth * ridge.clarity;
        ridge.color.map(|channel| channel + shade)
    }

    fn sky(&self, column: u32, place: f32, cloud: f32) -> Color {
        let height = (place / self.shore).min(1.0);
        let air = blend(self.light.zenith, self.light.horizon, height * height);
        let white = blend(air, [236.0, 236.0, 238.0], 0.55);
        let clouded = blend(air, white, cloud.clamp(0.0, 0.5) * 2.0);
        let (across, down) = (pixel(column) - self.sun[0], place - self.sun[1]);
        let distance = (across * across + down * down) / (self.sun_radius * self.sun_radius);
        let glow = if distance < 1.0 { 1.0 } else { 1.0 / (0.4 + 0.6 * distance) };
        blend(clouded, self.light.sun, glow)
    }

    /// What stands above the shore, mirrored, unsteady, and tinted by the water.
    fn water(&self, column: u32, place: f32) -> Color {
        let index = column as usize;
        let wave = self.relief[index];
        let mirrored = (2.0 * self.shore - place + wave).clamp(0.0, self.shore - 1.0);
        let ridge = self.ridges.iter().find(|ridge| mirrored >= ridge.tops[index]);
        let mirror = match ridge {
            Some(ridge) => ridge.color,
            None => self.sky(column, mirrored, 0.0),
        };
        blend(mirror, self.light.water, 0.5).map(|channel| channel + 0.7 * wave)
    }

    /// Twice a random byte, so that small values are the most frequent, as in a sensor.
    fn grain(&mut self) -> f32 {
        let random = self.grain.draw();
        let dice = (random & 0xFF) + ((random >> 8) & 0xFF);
        let centred = pixel(u32::try_from(dice).unwrap_or(0)) - 255.0;
        centred * self.grain_strength / 128.0
    }
}

fn ridges(dice: &mut Dice, count: u64, [wide, shore]: [f32; 2], light: &Light) -> Vec<Ridge> {
    let mut nearness = 1.0;
    let mut ridges = Vec::new();
    for _ in 0..count {
        let base = shore * (0.08 + 0.42 * (1.0 - nearness));
        let peak = shore * dice.between(0.18, 0.3);
        let widest = wide / dice.between(1.5, 4.0);
        let heights = crest(dice, floor(wide), widest);
        ridges.push(Ridge {
            tops: heights.iter().map(|height| shore - base - peak * (height - 0.5)).collect(),
            color: blend(light.horizon, light.land, 0.15 + 0.85 * nearness),
            clarity: 0.25 + 0.75 * nearness,
        });
        nearness *= 0.62;
    }
    ridges
}

fn blend(from: Color, to: Color, share: f32) -> Color {
    [0, 1, 2].map(|channel| from[channel] + (to[channel] - from[channel]) * share)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn byte(channel: f32) -> u8 {
    channel.clamp(0.0, 255.0) as u8
}
