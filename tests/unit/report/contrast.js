// Each text of the page with too little contrast to what it stands on: [text, ratio]. Colours are read by painting them, in whatever form
// the browser gives them; what is translucent is laid over what lies below.
const least = arguments[0];
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const painted = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const background = (element) => {
  if (!element) return dark ? [18, 18, 18] : [255, 255, 255];
  const own = painted(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own.slice(0, 3) : over(own, background(element.parentElement));
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const poor = [];
let seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || ["SCRIPT", "STYLE", "TITLE", "title"].includes(element.tagName) || !element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const below = background(element);
  const ink = painted(element.closest("svg") ? style.fill : style.color);
  ink[3] *= style.opacity;
  const [high, low] = [luminance(over(ink, below)), luminance(below)].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05);
  seen += 1;
  if (ratio < least) poor.push([node.data.trim().slice(0, 40), Math.round(ratio * 100) / 100]);
}
return [seen, poor];
