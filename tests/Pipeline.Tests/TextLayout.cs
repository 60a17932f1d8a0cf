namespace TorchBridge.Pipeline.Tests;

/// <summary>Finds text in a picture that overlaps other text, leaves the picture, or is clipped, in a
/// browser.</summary>
internal static class TextLayout
{
    /// <summary>
    /// A JavaScript function that takes an svg element and returns its faults as strings. The box of a text is that
    /// of its font, which is higher than what is drawn, so a fifth of its height is removed above and below. Text may
    /// be rotated, so boxes are compared as polygons, along all of their sides.
    /// </summary>
    public const string Faults = """
        svg => {
          const corners = (box, matrix) => [
            [box.x, box.y], [box.x + box.width, box.y],
            [box.x + box.width, box.y + box.height], [box.x, box.y + box.height]]
            .map(([x, y]) => [matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f]);
          const lower = box => ({ x: box.x, y: box.y + 0.2 * box.height, width: box.width, height: 0.6 * box.height });
          const normals = polygon => polygon.slice(0, 2).map(([x, y], i) => { const [u, v] = polygon[i + 1]; return [y - v, u - x]; });
          const range = (polygon, [nx, ny]) => {
            const along = polygon.map(([x, y]) => x * nx + y * ny);
            return [Math.min(...along), Math.max(...along)];
          };
          const overlap = (p, q) => [...normals(p), ...normals(q)].every(normal => {
            const [a, b] = range(p, normal), [c, d] = range(q, normal);
            return a < d && c < b;
          });
          const inside = (polygon, [left, top, right, bottom]) =>
            polygon.every(([x, y]) => x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= bottom + 1);
          const edges = rect => [rect.left, rect.top, rect.right, rect.bottom];
          const texts = [...svg.querySelectorAll('text')].filter(text => text.textContent.trim() !== '')
            .map(text => ({ element: text, words: text.textContent, polygon: corners(lower(text.getBBox()), text.getScreenCTM()) }));
          const faults = [];
          texts.forEach((text, i) => {
            if (!inside(text.polygon, edges(svg.getBoundingClientRect()))) faults.push(`'${text.words}' leaves the picture`);
            for (let parent = text.element.parentElement; parent && parent !== svg; parent = parent.parentElement) {
              const clip = /#([^"')]+)/.exec(parent.getAttribute('clip-path') || '');
              if (!clip) continue;
              const rect = document.getElementById(clip[1]).querySelector('rect');
              const [[left, top], , [right, bottom]] = corners(rect.getBBox(), parent.getScreenCTM());
              if (!inside(text.polygon, [left, top, right, bottom])) faults.push(`'${text.words}' is cut`);
            }
            for (const other of texts.slice(i + 1))
              if (overlap(text.polygon, other.polygon)) faults.push(`'${text.words}' lies over '${other.words}'`);
          });
          return faults;
        }
        """;
}
