// What drawings on a canvas share.

/**
 * Give a canvas one pixel for each pixel of the screen.
 * @param {HTMLCanvasElement} canvas
 * @returns its context, size in pixels, pixels per CSS pixel, and computed style
 */
export function prepare(canvas) {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return { paint: canvas.getContext("2d"), ratio, width, height, style: getComputedStyle(canvas) };
}
