// One recording: its sound, its spectrogram, and where in it the player is.

import { fit, tone } from "./map.js";

const LEFT = 34;
const BOTTOM = 20;
const HIGHEST = 8000;
// From silence to the loudest, even in brightness
const SHADES = [[0, 0, 4], [60, 15, 110], [150, 40, 120], [225, 85, 60], [250, 165, 40], [252, 255, 200]];

export class Sound {
  constructor(player, canvas, cursor) {
    Object.assign(this, { player, canvas, cursor, picture: null, seconds: 0, number: null, fetching: null });
    canvas.addEventListener("click", (event) => this.seek(event.offsetX));
    player.addEventListener("play", () => this.follow());
    player.addEventListener("seeked", () => this.point());
  }

  /** Fetch a recording by its number; once it is there, play it if asked to. Throws what the server says against it.
   *  A later call takes the place of one that still waits, of the same recording too. */
  async load(number, play) {
    if (number === this.number) {
      this.fetching = null;
      if (play) await this.play();
      return;
    }
    this.clear();
    const request = (this.fetching = {});
    const responses = await Promise.all(["sound", "spectrogram"].map((kind) => fetch(`recordings/${number}/${kind}`)));
    for (const response of responses) {
      if (!response.ok) throw new Error(await response.text());
    }
    const [content, shape] = [await responses[0].blob(), await responses[1].json()];
    const picture = await createImageBitmap(image(shape));
    if (this.fetching !== request) return;
    Object.assign(this, { number, picture, seconds: shape.seconds });
    this.player.src = URL.createObjectURL(content);
    this.draw();
    if (play) await this.play();
  }

  /** From the beginning; a browser that wants a click first is not argued with. */
  async play() {
    this.player.currentTime = 0;
    await this.player.play().catch(() => {});
  }

  /** Nothing to hear or see; what was asked for and is still on its way is dropped. */
  clear() {
    this.player.pause();
    if (this.player.src) URL.revokeObjectURL(this.player.src);
    this.player.removeAttribute("src");
    this.player.load(); // or the element goes on having the sound
    Object.assign(this, { number: null, picture: null, seconds: 0, fetching: null });
    this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.cursor.hidden = true;
  }

  draw() {
    if (!this.picture || !this.canvas.clientWidth) return;
    const context = fit(this.canvas);
    const width = this.canvas.clientWidth - LEFT, height = this.canvas.clientHeight - BOTTOM;
    context.clearRect(0, 0, width + LEFT, height + BOTTOM);
    context.drawImage(this.picture, LEFT, 0, width, height);
    context.fillStyle = tone("faint");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    for (const kilohertz of [0, 2, 4, 6, 8]) {
      const y = height * (1 - (1000 * kilohertz) / HIGHEST);
      context.fillText(kilohertz === 8 ? "kHz" : kilohertz, LEFT - 5, Math.max(10, y + 4));
    }
    context.textAlign = "center";
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300].find((one) => this.seconds / one <= 8) ?? 600;
    for (let second = step; second < this.seconds; second += step) {
      const x = LEFT + (width * second) / this.seconds;
      if (x < LEFT + width - 14) context.fillText(`${+second.toFixed(1)}`, x, height + 14);
    }
    context.fillText("0", LEFT, height + 14);
    context.textAlign = "right";
    context.fillText("s", LEFT + width, height + 14);
  }

  seek(x) {
    if (!this.picture) return;
    this.player.currentTime = (Math.max(0, x - LEFT) / (this.canvas.clientWidth - LEFT)) * this.seconds;
  }

  follow() {
    this.point();
    if (!this.player.paused) requestAnimationFrame(() => this.follow());
  }

  point() {
    const share = this.seconds ? Math.min(this.player.currentTime / this.seconds, 1) : 0;
    this.cursor.hidden = share === 0;
    this.cursor.style.left = `${LEFT + share * (this.canvas.clientWidth - LEFT)}px`;
  }
}

/** A spectrogram as an image, low frequencies at the bottom. */
function image({ frames, bins, values }) {
  const levels = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
  const pixels = new ImageData(frames, bins);
  for (let frame = 0; frame < frames; frame++) {
    for (let bin = 0; bin < bins; bin++) {
      const place = 4 * ((bins - 1 - bin) * frames + frame);
      pixels.data.set(SCALE[levels[frame * bins + bin]], place);
    }
  }
  return pixels;
}

const SCALE = Array.from({ length: 256 }, (_, level) => {
  const place = (level / 255) * (SHADES.length - 1), below = Math.min(Math.floor(place), SHADES.length - 2);
  return [...SHADES[below].map((value, channel) => value + (place - below) * (SHADES[below + 1][channel] - value)), 255];
});
