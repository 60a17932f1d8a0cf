using TorchBridge.Training.Reports;

namespace TorchBridge.Training.Lab;

/// <summary>What a topic shows: a paragraph, tables, pictures.</summary>
/// <param name="Topic">Its name on the command line.</param>
/// <param name="Title">Its heading.</param>
/// <param name="Paragraph">What to look at, and what it means.</param>
internal sealed record LabPage(string Topic, string Title, string Paragraph)
{
    /// <summary>Whether the pictures stand before the paragraph.</summary>
    public bool OpensWithPicture { get; init; }

    /// <summary>Tables, in their order.</summary>
    public IReadOnlyList<LabTable> Tables { get; init; } = [];

    /// <summary>Settings and other texts of several lines, each under a heading of its own.</summary>
    public IReadOnlyList<(string Heading, string Text)> Texts { get; init; } = [];

    /// <summary>Pictures, in their order.</summary>
    public IReadOnlyList<Figure> Figures { get; init; } = [];
}

/// <summary>A table.</summary>
/// <param name="Caption">What it holds, and of which network.</param>
/// <param name="Head">Names of the columns.</param>
/// <param name="Rows">Cells as text.</param>
internal sealed record LabTable(string Caption, string[] Head, IReadOnlyList<string[]> Rows);

/// <summary>What a topic works with.</summary>
/// <param name="Width">Channels of the first convolution of the lab's networks.</param>
/// <param name="Seed">What all randomness comes from.</param>
/// <param name="Data">Pictures to train small networks on.</param>
/// <param name="Stop">Ends the work.</param>
internal sealed record LabContext(int Width, int Seed, LabData Data, CancellationToken Stop)
{
    /// <summary>How tables and pictures call the network.</summary>
    public string Network =>
        Width == 64
            ? "full network, widths 64-128-256-512"
            : FormattableString.Invariant($"reduced network, widths {Width}-{2 * Width}-{4 * Width}-{8 * Width}");
}

/// <summary>A topic of the lab.</summary>
/// <param name="Name">Its name on the command line.</param>
/// <param name="About">One line for the help.</param>
/// <param name="Run">Does the experiment.</param>
internal sealed record LabTopic(string Name, string About, Func<LabContext, LabPage> Run);
